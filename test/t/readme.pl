# What the README and the manual promise.  Every SQL block of README.md and of
# docs/*.md is run, page by page, each page in one session of a fresh database;
# what a block prints is what the text block right after it shows.  A page of
# docs/ finds a ledger, and what it does not show itself stands in it as
# <!-- setup … -->.  A block that only sketches is marked "```sql sketch".  Names
# in the prose are looked up in the catalog.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'\ndatestyle = 'ISO'\nfsync = off");
$node->start;

$node->safe_psql('postgres', 'CREATE DATABASE ledger');
$node->safe_psql('ledger', 'CREATE EXTENSION cost_ledger; SELECT cost_ledger.create_ledger()');

# The reference is made from the catalog: its blocks are no statements, and its
# names need no proof.
my @pages = ('README.md', grep { $_ ne 'docs/reference.md' } sort glob('docs/*.md'));

my $sketches = 0;

sub blocks_of
{
    my ($text) = @_;
    my @blocks;
    while ($text =~ /^(?<indent> *)(?:<!-- setup\n(?<setup>.*?)^\g{indent}-->\n|```sql(?<mark> sketch)?\n(?<sql>.*?)^\g{indent}```\n(?:\n```text\n(?<expected>.*?)^```\n)?)/msg)
    {
        $sketches++, next if $+{mark};
        push @blocks, { sql => $+{setup} // $+{sql}, expected => $+{expected}, line => 1 + (substr($text, 0, $-[0]) =~ tr/\n//) };
    }
    return @blocks;
}

# In one session, for later blocks build on earlier ones.
sub run_page
{
    my ($page, @blocks) = @_;
    my $template = $page eq 'README.md' ? 'template1' : 'ledger';
    $node->safe_psql('postgres', qq(CREATE DATABASE "$page" TEMPLATE $template));

    my $file = PostgreSQL::Test::Utils::tempdir() . '/page.sql';
    open my $script, '>', $file or die "$file: $!";
    print $script map { "\\echo ==block $_\n$blocks[$_]{sql}" } 0 .. $#blocks;
    close $script;
    my ($out, $err) = run_command([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $node->connstr($page) ]);

    my @results = split /^==block \d+\n/m, "$out\n", -1;
    shift @results;
    my $last = @results ? "$page:$blocks[$#results]{line}" : $page;
    is($err, '', "no block of $page raises an error or a notice") or diag("in the block at $last");
    for my $i (0 .. $#results)
    {
        is($results[$i], $blocks[$i]{expected}, "$page:$blocks[$i]{line} prints what it shows") if defined $blocks[$i]{expected};
    }
    # Roles are the cluster's.
    $node->safe_psql($page, q(
        SET cost_ledger.allow_drop = on;
        SELECT format('DROP OWNED BY %I CASCADE; DROP ROLE %1$I', rolname) FROM pg_roles WHERE rolname !~ '^pg_' AND oid <> 10 \gexec));
}

# What the prose calls function(), relation.column or schema.name is looked up.
my %known = map { $_ => 1 } split /\n/, $node->safe_psql('ledger', q(
    LOAD 'cost_ledger';
    SELECT proname || '()' FROM pg_proc
    UNION SELECT name FROM pg_settings
    UNION SELECT n || '.' || r FROM (
        SELECT relname, attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace)
        UNION SELECT nspname, relname FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
        UNION SELECT nspname, proname FROM pg_proc p JOIN pg_namespace s ON s.oid = p.pronamespace
        UNION SELECT nspname, typname FROM pg_type t JOIN pg_namespace s ON s.oid = t.typnamespace) AS v (n, r)));
my %owner = map { /^(\w+)\./ ? ($1 => 1) : () } keys %known;
$known{$_} = 1 for map { slurp_file($_) =~ /^(\w+)\(/mg } glob('src/*.c');

sub unknown_names
{
    my ($text) = @_;
    my %unknown;
    $text =~ s/^( *)```sql.*?^\1```$//msg;
    for my $code ($text =~ /(```.*?```|`[^`]+`)/sg)
    {
        $unknown{"$_()"} = 1 for grep { !$known{"$_()"} && !$known{$_} } $code =~ /(?<![\w.])([a-z][a-z0-9]*_\w+)\(/g;
        while ($code =~ /(?<![\w.\/])([a-z]\w*)\.([a-z][a-z0-9_]*)\b(?![.\/<])/g)
        {
            $unknown{"$1.$2"} = 1 if $owner{$1} && !$known{"$1.$2"} && $2 !~ /^(call_p\d{4}_\d\d|html)$/;
        }
    }
    return join ', ', sort keys %unknown;
}

my $blocks = 0;
for my $page (@pages)
{
    my $text = slurp_file($page);
    is(unknown_names($text), '', "$page names what there is");
    my @blocks = blocks_of($text);
    $blocks += @blocks;
    run_page($page, @blocks) if @blocks;
}
cmp_ok($blocks, '>', 60, 'there are SQL blocks');
cmp_ok($sketches, '<', 6, 'few of them are sketches');

done_testing();
