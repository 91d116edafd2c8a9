# What Grafana does to a query before it sends it: its front end replaces variables
# (packages/grafana-sql/src/datasource/SqlDatasource.ts of grafana/grafana), its
# PostgreSQL data source macros (pkg/tsdb/grafana-postgresql-datasource/macros.go and
# sqleng/sql_engine.go).
package Grafana;
use strict;
use warnings;
use Exporter 'import';
use JSON::PP;
use POSIX qw(strftime);

our @EXPORT = qw(dashboards queries_of replace_variables expand_macros seconds);

# The dashboards of a folder, by uid.
sub dashboards
{
	my ($folder) = @_;
	my %dashboard;
	foreach my $file (sort glob("$folder/*.json"))
	{
		open my $in, '<:raw', $file or die "$file: $!";
		local $/;
		my $made = JSON::PP->new->utf8->decode(<$in>);
		die "$made->{uid} twice" if $dashboard{ $made->{uid} };
		$dashboard{ $made->{uid} } = $made;
	}
	return %dashboard;
}

# What a dashboard asks: where it is, what draws it, the query.
sub queries_of
{
	my ($made) = @_;
	my %common = (uid => $made->{uid}, variables => { map { $_->{name} => $_ } @{ $made->{templating}{list} } }, from => $made->{time}{from});
	my @queries = (
		map({ { where => "$made->{uid}: variable $_->{name}", shape => 'variable', sql => $_->{query}, %common } } grep { $_->{type} eq 'query' } @{ $made->{templating}{list} }),
		map({ { where => "$made->{uid}: annotation $_->{name}", shape => 'annotation', sql => $_->{target}{rawSql}, %common } } grep { $_->{target} } @{ $made->{annotations}{list} }));
	foreach my $panel (grep { $_->{type} ne 'row' } @{ $made->{panels} })
	{
		foreach my $target (@{ $panel->{targets} })
		{
			my $is_config = grep { $_->{id} eq 'configFromData' && $_->{options}{configRefId} eq $target->{refId} } @{ $panel->{transformations} };
			push @queries, { where => "$made->{uid}: $panel->{title} $target->{refId}", shape => $is_config ? 'config' : $panel->{type}, sql => $target->{rawSql},
				%common, format => $target->{format}, panel => $panel };
		}
	}
	return @queries;
}

# A variable is a value, several, or All.  Those that take several are quoted, also
# alone; All may have a text of its own, which is not.
sub replace_variables
{
	my ($sql, $variables, $values) = @_;
	$sql =~ s{\$(?:\{(\w+)(?::\w+)?\}|(\w+))}{
		my ($whole, $name) = ($&, $1 // $2);
		my $variable = $variables->{$name};
		!$variable ? $whole : variable_text($variable, $values->{$name}) }ge;
	return $sql;
}

sub quote { my ($value) = @_; $value =~ s/'/''/g; return "'$value'" }

sub variable_text
{
	my ($variable, $value) = @_;
	return $variable->{allValue} if ref $value && "@$value" eq '$__all' && defined $variable->{allValue};
	return join ',', map { quote($_) } @$value if ref $value;
	return quote($value) if $variable->{multi} || $variable->{includeAll};
	return ($value // '') =~ s/'/''/gr;
}

# Seconds of 5m, 1h, 1d.
sub seconds
{
	my ($interval) = @_;
	my %seconds = (s => 1, m => 60, h => 3600, d => 86400, w => 604800);
	$interval =~ /^'?(\d+)([smhdw])'?$/ or die "no interval: $interval\n";
	return $1 * $seconds{$2};
}

sub rfc3339 { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime shift) }

sub macro
{
	my ($name, $range, @arguments) = @_;
	my ($from, $to) = @$range;
	return "$arguments[0] AS \"time\"" if $name eq '__time';
	return "extract(epoch from $arguments[0]) as \"time\"" if $name eq '__timeEpoch';
	return "$arguments[0] BETWEEN '" . rfc3339($from) . "' AND '" . rfc3339($to) . "'" if $name eq '__timeFilter';
	return "'" . rfc3339($from) . "'" if $name eq '__timeFrom';
	return "'" . rfc3339($to) . "'" if $name eq '__timeTo';
	return "$arguments[0] >= $from AND $arguments[0] <= $to" if $name eq '__unixEpochFilter';
	if ($name =~ /^__(time|unixEpoch)Group(Alias)?$/)
	{
		my $seconds = seconds($arguments[1]);
		my $time = $1 eq 'time' ? "extract(epoch from $arguments[0])" : "($arguments[0])";
		return "floor($time/$seconds)*$seconds" . ($2 ? ' AS "time"' : '');
	}
	die "unknown macro \$$name\n";
}

sub expand_macros
{
	my ($sql, $range) = @_;
	my $interval = int(($range->[1] - $range->[0]) / 1500);
	$interval = $interval >= 86400 ? '1d' : $interval >= 3600 ? '1h' : $interval >= 300 ? '5m' : '1m';
	$sql =~ s/\$__interval_ms/seconds($interval) * 1000/ge;
	$sql =~ s/\$__interval/$interval/g;
	$sql =~ s/\$__unixEpochFrom\(\)/$range->[0]/g;
	$sql =~ s/\$__unixEpochTo\(\)/$range->[1]/g;
	$sql =~ s{\$([_a-zA-Z0-9]+)\(([^\)]*)\)(?=(,?))}{
		my ($name, $arguments, $comma) = ($1, $2, $3);
		# Before a comma it is a column, and gets a name.
		$name = '__timeGroupAlias' if $name eq '__timeGroup' && $comma;
		macro($name, $range, map { s/^ +| +$//gr } split /,/, $arguments) }ge;
	return $sql;
}

1;
