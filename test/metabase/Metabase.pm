# What Metabase does to a native question before it sends it: it takes it apart
# (metabase.driver.common.parameters.parse of metabase/metabase) and puts values into
# it (metabase.driver.sql.parameters.substitute).  Values go beside the statement, as
# parameters of it; here they stand in it as literals.
package Metabase;
use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(parse substitute);

# A list of texts, [ variable => name ] and [ optional => ... ].
sub parse
{
	my ($sql) = @_;
	my @tokens = grep { length } split m{(/\*|\*/|--|\n|\[\[|\]\]|\{\{(?!\{)|\}\})}, $sql;
	my $parsed = parse_tokens(\@tokens, 0, 0, '');
	return @$parsed;
}

sub parse_tokens
{
	my ($tokens, $optional, $variable, $comment) = @_;
	my @parsed;
	while (defined(my $token = shift @$tokens))
	{
		if ($token eq '[[' && !$comment)
		{
			my $inside = parse_tokens($tokens, $optional + 1, $variable, $comment);
			die "[[...]] without a variable\n" unless grep { ref && $_->[0] eq 'variable' } @$inside;
			push @parsed, [ optional => @$inside ];
		}
		elsif ($token eq '{{' && !$comment)
		{
			my $inside = parse_tokens($tokens, $optional, $variable + 1, $comment);
			die "{{...}} is no name\n" unless @$inside == 1 && !ref $inside->[0] && $inside->[0] =~ /\S/;
			push @parsed, [ variable => $inside->[0] =~ s/^\s+|\s+$//gr ];
		}
		elsif (($token eq '--' || $token eq '/*') && !$comment && !$optional) { push @parsed, $token, @{ parse_tokens($tokens, $optional, $variable, $token) } }
		elsif ($token eq '*/' && $comment eq '/*' || $token eq "\n" && $comment eq '--') { push @parsed, $token; return \@parsed; }
		elsif ($token eq ']]' && $optional || $token eq '}}' && $variable) { return \@parsed }
		else { push @parsed, $token }
	}
	die "[[ or {{ without an end\n" if $optional || $variable;
	return \@parsed;
}

sub literal
{
	my ($name, $value) = @_;
	return join ', ', map { literal($name, $_) } @$value if ref $value;
	my $quoted = "'" . $value =~ s/'/''/gr . "'";
	return $name =~ /^(?:from|to)$/ ? "date $quoted" : $quoted;
}

# The statement; dies where a variable that is not optional has no value.
sub substitute
{
	my ($values, @parsed) = @_;
	my ($sql, @missing) = substitute_parts($values, @parsed);
	die "no value for @missing\n" if @missing;
	return $sql =~ s/^\s+|\s+$//gr;
}

sub substitute_parts
{
	my ($values, @parsed) = @_;
	my ($sql, @missing) = ('');
	foreach my $part (@parsed)
	{
		if (!ref $part) { $sql .= $part }
		elsif ($part->[0] eq 'variable')
		{
			if (defined $values->{ $part->[1] }) { $sql .= literal($part->[1], $values->{ $part->[1] }) }
			else { push @missing, $part->[1] }
		}
		else
		{
			my ($inside, @none) = substitute_parts($values, @$part[ 1 .. $#$part ]);
			$sql .= $inside unless @none;
		}
	}
	return ($sql, @missing);
}

1;
