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

# A variable is a value, several, or All.  Those that take several have a list, of
# which each is quoted; All may have a text of its own, which is not.  A format, as in
# ${name:sqlstring}, goes other ways: sqlstring puts a backslash before a double quote.
sub replace_variables
{
	my ($sql, $variables, $values) = @_;
	$sql =~ s{\$(?:\{(\w+)(?::([^\}]+))?\}|(\w+))|\[\[(\w+?)(?::(\w+))?\]\]}{
		my ($whole, $name, $format) = ($&, $1 // $3 // $4, $2 // $5);
		my $variable = $variables->{$name};
		die "nothing is known of the format of $whole\n" if $variable && defined $format;
		!$variable ? $whole : variable_text($variable, $values->{$name}) }ge;
	return $sql;
}

sub quote { my ($value) = @_; $value =~ s/'/''/g; return "'$value'" }

sub variable_text
{
	my ($variable, $value) = @_;
	return $variable->{allValue} if ref $value && "@$value" eq '$__all' && defined $variable->{allValue};
	return join ',', map { quote($_) } @$value if ref $value;
	# Of a single text Grafana 10 to 12 quote one of these, and 13 does not.
	die "$variable->{name} is no list\n" if $variable->{multi} || $variable->{includeAll};
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

# How wide a point is: the range by the points that there is room for, rounded as
# Grafana's front end does (roundInterval in packages/grafana-data's rangeutil.ts), and
# not less than the panel says.
my @rounded = ([ 90, '1m' ], [ 210, '2m' ], [ 450, '5m' ], [ 750, '10m' ], [ 1050, '15m' ], [ 1500, '20m' ], [ 2700, '30m' ], [ 5400, '1h' ], [ 9000, '2h' ], [ 16200, '3h' ], [ 32400, '6h' ], [ 86400, '12h' ], [ 604800, '1d' ],
	[ 1814400, '7d' ], [ 3628800, '30d' ]);

sub interval
{
	my ($width, $least) = @_;
	my ($rounded) = map { $_->[1] } grep { $width < $_->[0] } @rounded;
	$rounded //= '365d';
	return seconds($rounded) < $least ? ($least % 86400 ? $least % 3600 ? $least / 60 . 'm' : $least / 3600 . 'h' : $least / 86400 . 'd') : $rounded;
}

sub expand_macros
{
	my ($sql, $range, $panel) = @_;
	my $interval = interval(($range->[1] - $range->[0]) / ($panel->{maxDataPoints} // 1500), seconds($panel->{interval} // '1m'));
	$sql =~ s/\$__interval_ms/seconds($interval) * 1000/ge;
	$sql =~ s/\$__interval/$interval/g;
	$sql =~ s/\$__unixEpochFrom\(\)/$range->[0]/g;
	$sql =~ s/\$__unixEpochTo\(\)/$range->[1]/g;
	my $before = $sql;
	$sql =~ s{\$([_a-zA-Z0-9]+)\(([^\)]*)\)}{
		my ($whole, $name, $arguments) = ($&, $1, $2);
		# If a comma follows where it stands first, it is a column, and gets a name.
		$name = '__timeGroupAlias' if $name eq '__timeGroup' && substr($before, index($before, $whole) + length($whole), 1) eq ',';
		macro($name, $range, map { s/^ +| +$//gr } split /,/, $arguments) }ge;
	return $sql;
}

1;
