# The house rules that a machine can check: the file map of docs/design.md is the
# tree, functions fit on a page, nothing in src/ calls up, and no text speaks of
# what a reader cannot know.  Needs no server.

use strict;
use warnings;
use Test::More;

my $longest = 90;    # lines of a function

# What a lower file asks of whoever links it.
my %hooks = ('src/sketch.h' => 'src/sketch_hooks.c');

sub text
{
	my ($file) = @_;
	open my $in, '<:encoding(UTF-8)', $file or die "$file: $!";
	local $/;
	return scalar <$in>;
}

sub none
{
	my ($what, @found) = @_;
	is(join("\n", @found), '', $what);
}

#
# The map
#

my $design = text('docs/design.md');
my @sql = sort glob('sql/*/*.sql');
@sql = grep { !m{^sql/upgrade/} } @sql;
my @c = sort glob('src/*.c src/*.h');

# A row of a table whose first cell names files; later rows of src/ stand higher.
my (%floor, %line, $rows);
for my $row ($design =~ /^(\| `.*)$/mg)
{
	my (undef, $files, $purpose) = split /\s*\|\s*/, $row;
	$rows++;
	for my $file ($files =~ m{`((?:sql|src)/[^`*]+)`}g)
	{
		fail("docs/design.md maps $file once") if exists $floor{$file};
		$floor{$file} = $rows;
		$line{$file} = $purpose;
	}
}
none('docs/design.md maps every file of sql/ and src/', grep { !exists $floor{$_} } @sql, @c);
none('docs/design.md maps no file that is not there', grep { !-e } sort keys %floor);
none('docs/design.md says of each what it is for', grep { ($line{$_} // '') !~ /\w{3}/ } sort keys %floor);

my $makefile = text('Makefile');
my %made = map { $_ => 1 } $makefile =~ m{^\t((?:sql|src)/\S+\.(?:sql|o))}mg;
none('the Makefile lists every piece of SQL', grep { !$made{$_} } @sql);
none('the Makefile lists every object', grep { !$made{ s/c$/o/r } } grep { /\.c$/ } @c);
none('every file opens with what lives there', grep { text($_) !~ m{^(?:/\*-|-- )} } @sql, @c);

# Nouns: one number everywhere, one folder each.
my @words = qw(no one two three four five six seven eight nine ten eleven twelve thirteen);
my ($number) = $design =~ /^## (\w+) nouns$/m;
my @nouns = $design =~ /^\| \*\*(\w+)\*\* \|/mg;
is(lc($number // ''), $words[@nouns], 'docs/design.md has as many nouns as it says');
is(join(' ', sort @nouns), join(' ', sort grep { $_ ne 'upgrade' } map { m{^sql/(\w+)/$} } glob('sql/*/')), 'each noun has a folder in sql/');

# help() lists them too, in that order.
my %listed = map { join(', ', split /\s*,\s*/) => 1 } text('sql/ledger/help.sql') =~ /\b(ledger,\s*usage,[a-z, ]+[a-z])\b(?=[})])/g;
is(join('; ', sort keys %listed), join(', ', @nouns), 'help() knows the nouns of docs/design.md');

#
# Lengths
#

my @long;
for my $file (grep { /\.c$/ } @c)
{
	my $code = text($file);
	while ($code =~ /^(\w+)\([^;{]*?\)\n\{\n.*?^\}$/msg)
	{
		my ($name, $lines) = ($1, 1 + ($& =~ tr/\n//));
		push @long, "$file: $name() has $lines lines" if $lines > $longest;
	}
}
none("no function of C is longer than $longest lines", @long);

@long = ();
for my $file (@sql)
{
	my $code = text($file);
	while ($code =~ /^CREATE (?:FUNCTION|PROCEDURE) ([\w.]+)\s*\((?:(?!^CREATE ).)*?AS (\$\w*\$).*?\2;$/msg)
	{
		my ($name, $lines) = ($1, 1 + ($& =~ tr/\n//));
		push @long, "$file: $name() has $lines lines" if $lines > $longest;
	}
}
none("no function of SQL is longer than $longest lines", @long);

#
# Floors of src/
#

my (%home, @up, @astray);
my @mapped = grep { exists $floor{$_} } @c;
for my $file (grep { /\.c$/ } @mapped)
{
	$home{$_} = $file for text($file) =~ /^(cl_\w+)\(/mg;
}
# A function lives where its header stands.
my %lives = map { $_ => $floor{ $home{$_} } } keys %home;
for my $file (grep { /\.h$/ } @mapped)
{
	for my $name (text($file) =~ /^(?:pg_noreturn )?extern [^;(]*?\b(cl_\w+)\(/mg)
	{
		$lives{$name} = $floor{$file};
		my $home = $home{$name} // 'nobody';
		push @astray, "$file declares $name(), which $home defines"
		  if ($floor{$home} // 0) != $floor{$file} && $home ne ($hooks{$file} // '');
	}
}
for my $file (@mapped)
{
	my $code = text($file) =~ s{/\*.*?\*/}{}gsr;
	for my $other (map { "src/$_" } $code =~ /^#include "(\w+\.h)"/mg)
	{
		push @up, "$file includes $other" if exists $floor{$other} && $floor{$other} > $floor{$file};
	}
	for my $name ($code =~ /\b(cl_\w+)\s*\(/g)
	{
		push @up, "$file calls $name()" if exists $lives{$name} && $lives{$name} > $floor{$file};
	}
	push @astray, "$file declares $1() for itself" if $file =~ /\.c$/ && $code =~ /^extern [^;(]*\b(cl_\w+)\(/m;
}
none('nothing in src/ includes or calls what stands above it', @up);
none('what a file shares its own header declares', @astray);

#
# Texts
#

my @texts = grep { -f && -T } glob('*.md *.in Makefile docs/* src/*.[ch] sql/*/* test/*/* expected/* bench/* bench/*/* script/* examples/* examples/*/* prices/*');
my (@unfinished, @elsewhere, @gone, @nulls_first);

# As links name them.
sub headings
{
	return map { s/[^\w\s-]//gr =~ tr/ /-/r } map { lc } text(shift) =~ /^#+ (.*)$/mg;
}

for my $file (@texts)
{
	my $text = text($file);
	push @unfinished, "$file: " . ($1 // $2) while $text =~ /\b(TO[D]O|FIX[M]E|X[X]X)\b|^([<>]{7} .*)/mg;
	next unless $file =~ /\.(?:md|sql|[ch])$/;
	push @elsewhere, "$file: $1" while $text =~ m{(?<![\w.\$\}/])(/(?:work|srv|tmp|home|root)\b[\w/.-]*)}g;
	next unless $file =~ /\.md$/;
	# What has no price would come first, as if it were dearest.
	for my $order ($text =~ /\bORDER BY ([^;\n]*)/g)
	{
		push @nulls_first, "$file: $order" if grep { /\bDESC\b(?! NULLS LAST)/ && !/^\s*(?:\w+\.)?(?:month|week|day|hour|\w+_at)\b/ } split /,/, $order;
	}
	# A path in a text is one of this tree.
	for my $path ($text =~ m{`((?:sql|src|test|docs|script|bench|examples|expected|prices)/[\w./*-]+)`}g)
	{
		push @gone, "$file: $path" unless grep { -e } glob($path);
	}
	while ($text =~ m{\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)}g)
	{
		my ($link, $heading) = ($1, $2);
		my $to = $link eq '' ? $file : ($file =~ m{^(.*/)} ? $1 : '') . $link;
		push @gone, "$file: $link" and next unless -e $to;
		push @gone, "$file: $link#$heading" if defined $heading && !grep { $_ eq $heading } headings($to);
	}
}
none('nothing is left to do in any text', @unfinished);
none('no text names a place outside this tree', @elsewhere);
none('every path and link in a text leads somewhere', @gone);
none('no example sorts what is not known before what is dearest', @nulls_first);

done_testing();
