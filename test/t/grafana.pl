# Every query of the dashboards and alert rules in dashboards/grafana, as Grafana
# would send it (test/grafana/Grafana.pm), and every question in dashboards/metabase,
# as Metabase would (test/metabase/Metabase.pm).  None may fail, for a reader of all and
# for one of a team, and each has the columns that its panel draws.  No Grafana, no
# Metabase and no network are needed.
use strict;
use warnings;
use utf8;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use JSON::PP;
use CPAN::Meta::YAML;
use POSIX qw(strftime);
use lib 'test/grafana';
use lib 'test/metabase';
use Grafana;
use Metabase ();

use Time::Local ();

my $folder = 'dashboards/grafana';

# Nothing is wrong; what is, is told in bytes.
sub none
{
	my ($what, @wrong) = @_;
	my $told = join "\n", @wrong;
	utf8::encode($told);
	is($told, '', $what);
}

sub text
{
	my ($file) = @_;
	open my $in, '<:encoding(UTF-8)', $file or die "$file: $!";
	local $/;
	return scalar <$in>;
}

# The expansions of Grafana's own tests.
my $five = [ 1523556000, 1523556300 ];
is(expand_macros($_->[0], $five), $_->[1], "$_->[0]")
  foreach [ 'WHERE $__timeFilter(time_column)', "WHERE time_column BETWEEN '2018-04-12T18:00:00Z' AND '2018-04-12T18:05:00Z'" ],
  [ 'select $__timeFrom()', "select '2018-04-12T18:00:00Z'" ],
  [ q{SELECT $__timeGroup(time_column,'5m'), value}, 'SELECT floor(extract(epoch from time_column)/300)*300 AS "time", value' ],
  [ q{SELECT $__timeGroup(time_column , '5m')}, 'SELECT floor(extract(epoch from time_column)/300)*300' ],
  [ q{SELECT $__timeGroupAlias(time_column,'5m')}, 'SELECT floor(extract(epoch from time_column)/300)*300 AS "time"' ],
  [ 'select $__unixEpochFilter(time)', 'select time >= 1523556000 AND time <= 1523556300' ];

#
# What is in the folder
#

is(`$folder/build --check`, '', 'each dashboard is what its source makes');

my %dashboard = dashboards($folder);
cmp_ok(scalar keys %dashboard, '>=', 5, 'there are dashboards');

my %known_panel = map { $_ => 1 } qw(timeseries barchart bargauge stat table row);
foreach my $uid (sort keys %dashboard)
{
	my $made = $dashboard{$uid};
	my @wrong;
	push @wrong, "uid $uid" unless $uid =~ /^cost-ledger-[a-z-]{3,28}$/;
	push @wrong, "no $_" foreach grep { !defined $made->{$_} } qw(title description tags schemaVersion time templating annotations panels links);
	my (%id, %place);
	foreach my $panel (@{ $made->{panels} })
	{
		my ($x, $y, $w, $h) = @{ $panel->{gridPos} }{qw(x y w h)};
		push @wrong, "panel $panel->{id} twice" if $id{ $panel->{id} }++;
		push @wrong, "no panel is a $panel->{type}" unless $known_panel{ $panel->{type} };
		push @wrong, "$panel->{title} is not in 24 columns" unless $x >= 0 && $w > 0 && $x + $w <= 24 && $h > 0;
		foreach my $at (map { my $c = $_; map { "$c/$_" } $y .. $y + $h - 1 } $x .. $x + $w - 1)
		{
			push @wrong, "$panel->{title} lies on $place{$at}" and last if $place{$at};
			$place{$at} = $panel->{title};
		}
		next if $panel->{type} eq 'row';
		push @wrong, "$panel->{title} says nothing of itself" unless length($panel->{description} // '') > 20;
		my %ref = map { $_->{refId} => 1 } @{ $panel->{targets} };
		push @wrong, "$panel->{title} asks twice as one" if keys %ref < @{ $panel->{targets} };
		push @wrong, map { "$panel->{title}: no query $_->{options}{configRefId}" } grep { $_->{id} eq 'configFromData' && !$ref{ $_->{options}{configRefId} } } @{ $panel->{transformations} };
	}
	# Links lead to dashboards that are there, with variables that those have.
	my $links = JSON::PP->new->encode($made);
	while ($links =~ m{"/d/([\w-]+)(\?[^"]*)?"}g)
	{
		my ($to, $arguments) = ($1, $2 // '');
		push @wrong, "a link leads to $to" unless $dashboard{$to};
		my %has = map { $_->{name} => 1 } @{ $dashboard{$to}{templating}{list} // [] };
		push @wrong, map { "$to has no variable $_" } grep { !$has{$_} } $arguments =~ /var-(\w+)=/g;
	}
	none("$uid is in order", @wrong);
}

#
# Queries, by where they are
#

my @queries = map { queries_of($dashboard{$_}) } sort keys %dashboard;

my %datasource = %{ CPAN::Meta::YAML->read_string(text("$folder/provisioning/datasources/cost_ledger.yaml"))->[0]{datasources}[0] };
is($datasource{uid}, 'cost_ledger', 'the data source has the uid that alert rules name');
is($datasource{type}, 'grafana-postgresql-datasource', 'and the type that dashboards name');
is(CPAN::Meta::YAML->read_string(text("$folder/provisioning/dashboards/cost_ledger.yaml"))->[0]{providers}[0]{type}, 'file', 'the dashboards are provided');

my %rule;
foreach my $group (@{ CPAN::Meta::YAML->read_string(text("$folder/provisioning/alerting/cost_ledger.yaml"))->[0]{groups} })
{
	foreach my $rule (@{ $group->{rules} })
	{
		my @wrong = map { "no $_" } grep { !length($rule->{$_} // '') } qw(uid title condition for noDataState execErrState);
		push @wrong, "uid twice" if $rule{ $rule->{uid} }++;
		my %step = map { $_->{refId} => $_ } @{ $rule->{data} };
		my $condition = $step{ $rule->{condition} } // {};
		push @wrong, 'no such condition' unless ($condition->{datasourceUid} // '') eq '__expr__';
		push @wrong, 'the condition asks for nothing' unless $step{ $condition->{model}{expression} // '' };
		my $leads_to = $dashboard{ $rule->{dashboardUid} // '' };
		push @wrong, 'leads to no panel' unless $leads_to && grep { $_->{id} == $rule->{panelId} && $_->{type} ne 'row' } @{ $leads_to->{panels} };
		push @wrong, 'leads to two' unless $rule->{dashboardUid} eq $rule->{annotations}{__dashboardUid__} && $rule->{panelId} eq $rule->{annotations}{__panelId__};
		none("alert rule $rule->{title} is in order", @wrong);
		my ($query) = grep { $_->{datasourceUid} eq 'cost_ledger' } @{ $rule->{data} };
		push @queries, { where => "alert rule: $rule->{title}", shape => 'alert', sql => $query->{model}{rawSql}, uid => 'alerts', variables => {}, from => "now-$query->{relativeTimeRange}{from}s" };
	}
}
cmp_ok(scalar keys %rule, '>=', 6, 'there are alert rules');

# NULL is not the dearest.
none('no order begins with NULL', map { $_->{where} } grep { my $sql = $_->{sql}; grep { !/^\s+NULLS LAST/i } $sql =~ /\bDESC\b(.{0,12})/gs } @queries);
none('no query has a comment or a second statement', map { $_->{where} } grep { $_->{sql} =~ /--|;/ } @queries);

#
# A filled ledger, and who looks at it
#

my $node = PostgreSQL::Test::Cluster->new('grafana');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\njit = off");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION cost_ledger;
SELECT cost_ledger.create_ledger();
CREATE ROLE all_reader LOGIN;
CREATE ROLE team_reader LOGIN;
CREATE ROLE new_reader LOGIN;
SQL
$node->command_ok([ 'psql', '-Xq', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1', '-f', 'examples/sample_data.sql' ], 'sample data are loaded');
$node->safe_psql('postgres', <<'SQL');
SELECT cost_ledger.grant_reader('all_reader'), cost_ledger.grant_team_reader('team_reader', 'research'), cost_ledger.grant_team_reader('new_reader', 'nobody yet');
INSERT INTO cost_ledger.call (provider, model, input_tokens, output_tokens, team, feature, customer, run_id, user_id, status)
VALUES ('openai', 'gpt-4o', 1000, 100, 'research', 'it''s $1,\(x) "q"', '顧客', 'it''s a run', 'u', 'error');
SELECT cost_ledger.set_budget('all', '{}', 'month', 10, '{0.5, 1}') > 0, cost_ledger.set_budget('teams', '{}', 'week', 1, '{0.5, 1}', each_of => 'team') > 0,
       cost_ledger.set_budget('calls', '{"team": "research"}', 'day', 100000, metric => 'calls') > 0;
UPDATE cost_ledger.alert_rule SET is_active = true, threshold = 0.01 WHERE kind IN ('run_cost', 'day_cost', 'user_month_cost', 'task_type_cost');
CALL cost_ledger.run_jobs();
INSERT INTO cost_ledger.annotation (happened_at, kind, title, scope, link)
SELECT now() - interval '2 hours', 'deploy', scope, scope::jsonb, 'https://example.com/1'
FROM unnest(ARRAY['{}', '{"team": "research"}', '{"team": ["support", "growth"]}', '{"team": "se*"}', '{"team": {"not": "research"}}', '{"team": {"not": ["support", "se*"]}}', '{"team": null}',
                  '{"team": [null, "research"]}', '{"team": {"not": null}}', '{"team": []}', '{"team": "not"}', '{"customer": "a\\*"}', '{"customer": "a\\**"}', '{"customer": "a*"}',
                  '{"model": "GPT-4o"}', '{"model": "gpt-4o*"}', '{"model": {"not": "gpt-4o"}}', '{"model": "gpt-4o-2024-08-06"}', '{"feature": "it''s $1,\\(x) \"q\""}', '{"environment": "production"}',
                  '{"team": "research", "model": "gpt-4o"}']) AS scope;
SELECT cost_ledger.reserve('held', '{"team": "research"}', 0.001);
SELECT cost_ledger.set_price('openai', 'gpt-4o', '{"input_tokens": 3, "output_tokens": 12}', now() - interval '1 hour') > 0;
VACUUM ANALYZE;
SQL

my $now = time;
sub began { my ($from) = @_; $from =~ /^now-(\d+)([smhdw])$/ or die "no range: $from\n"; return $now - seconds("$1$2") }

# What the variables of a dashboard are set to: all, one, several, or these.
sub chosen
{
	my ($variables, $how) = @_;
	my $these = ref $how ? $how : undef;
	$how = 'all' if $these;
	my %one = (team => 'research', feature => 'it\'s $1,\(x) "q"', customer => '顧客', model => 'gpt-4o');
	my %values;
	foreach my $variable (values %$variables)
	{
		my $name = $variable->{name};
		$values{$name} = $variable->{type} eq 'custom' ? (split /,/, $variable->{query})[ $how eq 'all' ? 0 : -1 ] =~ s/^.* : //r : $variable->{type} eq 'textbox' ? ($how eq 'all' ? '' : "it's a run") : '';
		$values{$name} = $how eq 'all' ? ['$__all'] : $how eq 'one' ? [ $one{$name} // 'x' ] : [ $one{$name} // 'x', '(unallocated)', 'research', 'search', 'support_chat', 'northwind', 'claude-sonnet-4-5' ]
		  if $variable->{includeAll};
	}
	$values{unit} = 'currency:$';
	%values = (%values, %$these) if $these;
	return \%values;
}

# Asks all queries in one session: columns and rows of each.
sub answers
{
	my ($role, $how, @asked) = @_;
	my $database = 'postgres';
	($role, $database) = @$role if ref $role;
	my $script = "\\set ON_ERROR_STOP off\n\\pset tuples_only on\n\\pset format unaligned\n";
	foreach my $n (0 .. $#asked)
	{
		my $query = $asked[$n];
		my $sql = expand_macros(replace_variables($query->{sql}, $query->{variables}, chosen($query->{variables}, $how)), $query->{range} // [ began($query->{from}), $now ]);
		$script .= "\\echo \x01$n\n$sql \\gdesc\n\\echo \x02\nSELECT to_jsonb(q) FROM (\n$sql\n) q;\n";
	}
	my ($stdout, $stderr);
	$node->psql($database, $script, stdout => \$stdout, stderr => \$stderr, extra_params => [ '-U', $role ]);
	utf8::decode($_) foreach $stdout, $stderr;
	my @answers = map { my ($columns, $rows) = split /\x02\n?/, s/^\d+\n//r;
		{ columns => [ map { [ split /\|(?=[^|]*$)/ ] } split /\n/, $columns // '' ], rows => [ map { JSON::PP->new->decode($_) } grep { /^\{/ } split /\n/, $rows // '' ] } }
	  grep { length } split /\x01/, $stdout;
	return ($stderr, @answers);
}

my $is_number = qr/^(?:smallint|integer|bigint|numeric|double precision|real)$/;
my $is_known = qr/^(?:smallint|integer|bigint|numeric|double precision|real|text|boolean|date|timestamp with time zone)$/;

# What is wrong with the shape of an answer, for what draws it.
sub misshapen
{
	my ($query, $answer) = @_;
	my $shape = $query->{shape};
	my @columns = @{ $answer->{columns} };
	my %type = map { $_->[0] => $_->[1] } @columns;
	my @numbers = grep { $_->[1] =~ $is_number } @columns;
	my @texts = grep { $_->[1] eq 'text' } @columns;
	my @wrong;
	push @wrong, 'no columns' unless @columns;
	push @wrong, 'two columns of a name' if keys %type < @columns;
	push @wrong, map { "$_->[0] is $_->[1]" } grep { $_->[1] !~ $is_known } @columns;
	if ($shape eq 'timeseries' || $shape eq 'annotation')
	{
		push @wrong, 'no time' unless ($type{time} // '') eq 'timestamp with time zone' || ($query->{sql} =~ /\$__timeGroup/ && ($type{time} // '') =~ $is_number);
		my ($from, $to) = $query->{range} ? @{ $query->{range} } : (began($query->{from}), $now);
		my %seen;
		my $before = 0;
		foreach my $row (@{ $answer->{rows} })
		{
			my $time = $row->{time} // '';
			my $epoch = $time =~ /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)/ ? Time::Local::timegm($6, $5, $4, $3, $2 - 1, $1) : $time =~ /^\d+$/ ? $time : -1;
			# A bucket begins before what is in it.
			push @wrong, "$time is not in the range" and last if $epoch < $from - ($query->{sql} =~ /\$__timeGroup|date_trunc/ ? 86400 : 0) || $epoch > $to + 1;
			push @wrong, "$time comes late" and last if $epoch < $before && $shape eq 'timeseries';
			push @wrong, "$time twice" and last if $shape eq 'timeseries' && $seen{ $epoch . '/' . ($row->{metric} // '') }++;
			$before = $epoch;
		}
	}
	if ($shape eq 'timeseries')
	{
		push @wrong, 'is no series' unless $query->{format} eq 'time_series';
		push @wrong, 'no value' unless grep { $_->[0] ne 'time' } @numbers;
		push @wrong, map { "a text $_->[0]" } grep { $_->[0] ne 'metric' } @texts;
		push @wrong, 'a metric of several values' if $type{metric} && grep({ $_->[0] ne 'time' } @numbers) > 1;
	}
	push @wrong, 'is no table' if $shape ne 'timeseries' && defined $query->{format} && $query->{format} ne 'table';
	push @wrong, 'no text' if $shape eq 'annotation' && ($type{text} // '') ne 'text';
	push @wrong, 'a row without a text' if $shape eq 'annotation' && grep { !length($_->{text} // '') } @{ $answer->{rows} };
	if ($shape eq 'barchart' || $shape eq 'bargauge')
	{
		push @wrong, 'no name first' unless $columns[0][1] eq 'text' && @texts == 1;
		push @wrong, 'no value' unless @numbers;
		my %seen;
		push @wrong, map { "$_ twice" } grep { $seen{$_}++ } map { $_->{ $columns[0][0] } // 'NULL' } @{ $answer->{rows} };
	}
	push @wrong, 'no single number' if $shape eq 'stat' && (!@numbers || @{ $answer->{rows} } > 1);
	push @wrong, 'more than a row' if $shape eq 'config' && @{ $answer->{rows} } > 1;
	push @wrong, 'sets nothing' if $shape eq 'config' && grep { $_->[0] !~ /^(?:unit|max|min|decimals)$/ } @columns;
	if ($shape eq 'variable')
	{
		push @wrong, 'no single text' unless @columns == 1 && @texts == 1;
		my %seen;
		push @wrong, map { "$_ twice" } grep { $seen{$_}++ } map { $_->{ $columns[0][0] } // 'NULL' } @{ $answer->{rows} };
	}
	if ($shape eq 'alert')
	{
		push @wrong, 'no single number, with texts' unless @numbers == 1 && @numbers + @texts == @columns;
		push @wrong, 'a number that is not known' if grep { !defined $_->{ $numbers[0][0] } } @{ $answer->{rows} };
		my %seen;
		push @wrong, map { "$_ twice" } grep { $seen{$_}++ } map { my $row = $_; join '/', map { $row->{ $_->[0] } // '' } @texts } @{ $answer->{rows} };
	}
	# Columns that the panel's links and overrides name.
	if ($query->{panel} && $shape ne 'config')
	{
		my $drawn = JSON::PP->new->encode($query->{panel}{fieldConfig});
		push @wrong, map { "no column $_ for a link" } grep { !$type{$_} } $drawn =~ /__data\.fields\.(\w+)/g;
		push @wrong, map { "no column $_ to draw otherwise" } grep { !$type{$_} } map { $_->{matcher}{id} eq 'byName' ? $_->{matcher}{options} : () } @{ $query->{panel}{fieldConfig}{overrides} };
	}
	return @wrong;
}

my %filled;
foreach my $look ([ 'all_reader', 'all' ], [ 'all_reader', 'one' ], [ 'all_reader', 'many' ], [ 'team_reader', 'all' ], [ 'team_reader', 'many' ], [ 'new_reader', 'all' ])
{
	my ($role, $how) = @$look;
	# Jobs, problems and the like are not for who reads some calls; nor are the alert rules.
	my @asked = grep { $role eq 'all_reader' || $_->{uid} !~ /^(?:cost-ledger-operations|alerts)$/ } @queries;
	my ($stderr, @answers) = answers($role, $how, @asked);
	none("$role, $how: no query fails", $stderr || ());
	is(scalar @answers, scalar @asked, "$role, $how: each has an answer");
	none("$role, $how: each has the shape of what draws it", map { my $n = $_; map { "$asked[$n]{where}: $_" } misshapen($asked[$n], $answers[$n] // { columns => [], rows => [] }) } 0 .. $#asked);
	$filled{"$role $how"} = { map { $asked[$_]{where} => scalar @{ $answers[$_]{rows} // [] } } 0 .. $#asked };
}
# A test that looks at nothing proves nothing.  What is not there in the sample data:
my $may_be_empty = qr/^cost-ledger-operations: .*(?:wrong|quarantine)/i;
none('each shows something of a filled ledger', grep { !$filled{'all_reader all'}{$_} && !/$may_be_empty/ } sort keys %{ $filled{'all_reader all'} });

#
# What is chosen is what is shown
#

sub asked { my ($where) = @_; my ($query) = grep { $_->{where} eq $where } @queries; return $query // die "nobody asks $where\n" }

# The rows of one query, as the reader of all, where these are chosen.
sub shown
{
	my ($where, %chosen) = @_;
	my ($stderr, $answer) = answers('all_reader', \%chosen, asked($where));
	return $stderr ? ({ error => $stderr }) : @{ $answer->{rows} };
}

# Annotations: as filters let calls pass (matches_filter), of each label by itself.
foreach my $chosen ([ team => 'research' ], [ team => 'search' ], [ team => '(unallocated)' ], [ team => 'not' ], [ customer => 'a*' ], [ customer => 'a*b' ], [ customer => 'ab' ],
	[ model => 'gpt-4o' ], [ model => 'GPT-4o-2024-08-06' ], [ model => 'gpt-4o-mini' ], [ model => 'claude-sonnet-4-5' ], [ feature => 'it\'s $1,\(x) "q"' ])
{
	my ($label, $value) = @$chosen;
	my $literal = Grafana::quote($value);
	utf8::encode($literal);
	my $told = $node->safe_psql('postgres', <<"SQL");
SELECT a.title FROM cost_ledger.annotation a
WHERE NOT a.scope ? '$label'
   OR cost_ledger_internal.matches_filter(jsonb_strip_nulls(jsonb_build_object('$label', nullif($literal, '(unallocated)'))), jsonb_build_object('$label', a.scope -> '$label'))
ORDER BY a.title
SQL
	is(join("\n", sort map { $_->{text} =~ s/^deploy: | https:.*//gr } shown('cost-ledger-overview: annotation Changes', $label => [$value])), join("\n", sort split /\n/, $told), "annotations of $label " . $literal);
}
is(scalar(shown('cost-ledger-overview: annotation Changes', team => [ 'search', 'research' ], model => ['gpt-4o'])),
	$node->safe_psql('postgres', q{SELECT count(*) FROM cost_ledger.annotation WHERE title NOT IN ('{"team": ["support", "growth"]}', '{"team": null}', '{"team": []}', '{"team": "not"}', '{"model": {"not": "gpt-4o"}}', '{"model": "gpt-4o-2024-08-06"}')}),
	'annotations of two teams and a model');

#
# Metabase: each question without variables, with each alone, and with all
#

is(substr(join('', map { ref ? "<@$_>" : $_ } Metabase::parse("a -- [[ {{b}}\n{{ c }} x[1]]")), 0), "a -- [[ {{b}}\n<variable c> x[1]]", 'questions are taken apart as Metabase does');
is(Metabase::substitute({ b => "it's", d => [ 'x', 'y' ] }, Metabase::parse('a [[AND b = {{b}}]] [[AND c = {{c}} AND {{b}}]] IN ({{d}})')), q{a AND b = 'it''s'  IN ('x', 'y')}, 'and their variables replaced');
is(`dashboards/metabase/build --check`, '', 'what Metabase imports is what its questions make');
my %value = (from => strftime('%Y-%m-%d', gmtime($now - 40 * 86400)), to => strftime('%Y-%m-%d', gmtime $now), team => [ 'research', q{it's "[[x]] {{y}} ?} ], feature => 'deep_research', customer => [ '顧客', '(unallocated)' ],
	model => 'claude-sonnet-4-5', task_type => '(unallocated)', label => 'team', value => 'research', severity => 'review', budget => 'all', kind => 'deploy');
my @questions;
foreach my $file (sort glob('dashboards/metabase/*.sql'))
{
	my ($name) = $file =~ /(\w+)\.sql$/;
	my @parsed = Metabase::parse(text($file));
	my %asks;
	my @within = @parsed;
	while (my $part = shift @within) { if (ref $part) { $part->[0] eq 'variable' ? $asks{ $part->[1] } = 1 : push @within, @$part[ 1 .. $#$part ] } }
	# A ? is a parameter to JDBC, and a ; ends what Metabase may put into another query.
	push @questions, { name => "$name: @$_", sql => Metabase::substitute({ map { $_ => $value{$_} // die "no value for $_" } @$_ }, @parsed), asks => [ sort keys %asks ], shape => 'question', uid => $name, variables => {},
		from => 'now-60d', is_bad => text($file) =~ /^[^-].*[?;]/m }
	  foreach [], (map { [$_] } sort keys %asks), [ sort keys %asks ];
}
none('no question has a ? or a ;', map { $_->{name} } grep { $_->{is_bad} } @questions);
foreach my $role (qw(all_reader team_reader new_reader))
{
	# One variable at a time for one role: the others see less, of the same columns.
	my @questions = grep { $role eq 'all_reader' || $_->{name} !~ /: \w+$/ } @questions;
	my ($stderr, @answers) = answers($role, 'all', @questions);
	none("$role: no question of Metabase fails", $stderr || ());
	is(scalar @answers, scalar @questions, "$role: each has an answer");
	none("$role: each has columns that charts know", map { my $n = $_; my %seen; map { "$questions[$n]{name}: $_->[0] is $_->[1]" } grep { $_->[1] !~ $is_known || $seen{ $_->[0] }++ } @{ $answers[$n]{columns} } } 0 .. $#questions);
	none("$role: columns of charts are there", map { my $n = $_; my ($settings) = text("dashboards/metabase/$questions[$n]{uid}.sql") =~ /^-- settings: (.*)$/m;
			my $drawn = $settings ? JSON::PP->new->decode($settings) : {};
			my %has = map { $_->[0] => 1 } @{ $answers[$n]{columns} };
			map { "$questions[$n]{name}: no column $_" } grep { !$has{$_} } map { @{ $drawn->{"graph.$_"} // [] } } qw(dimensions metrics) } 0 .. $#questions);
	# Of a reader of all, each shows something, but where a name is not there.
	none('each question shows something', map { $questions[$_]{name} } grep { !@{ $answers[$_]{rows} } && $questions[$_]{name} !~ / .*(?:team|customer|feature) | feature$| value$|(?:alerts|margin)/ } 0 .. $#questions) if $role eq 'all_reader';
	# Team, feature and customer, and from and to, say less than all.
	my %rows = map { $questions[$_]{name} => $answers[$_]{rows} } 0 .. $#questions;
	if ($role eq 'all_reader')
	{
		my %cost = map { my $rows = $rows{$_}; my $sum = 0; $sum += $_->{cost} // 0 foreach @$rows; $_ => $sum } grep { /^(?:who_pays|spend_by_model)/ } keys %rows;
		none('what is asked of a part is a part', map { my ($name) = /^(\w+)/; $cost{$_} < $cost{"$name: "} && $cost{$_} > 0 ? () : "$_ $cost{$_}" } grep { /: (?:team|feature|customer|model)$/ } sort keys %cost);
		my $team = $node->safe_psql('postgres', q{SELECT sum(cost) FROM cost_ledger.cost_by_day WHERE team = 'research'});
		cmp_ok(abs($cost{'who_pays: team'} - $team), '<', 1e-6, 'as much as SQL says');
	}
}

#
# Datasets and models of other tools: their columns and metrics are there
#

foreach my $file (sort glob('dashboards/superset/datasets/*/*.yaml'))
{
	my $dataset = CPAN::Meta::YAML->read_string(text($file))->[0];
	my $columns = join ', ', map { $_->{column_name} } @{ $dataset->{columns} };
	my $metrics = join ', ', map { "$_->{expression} AS $_->{metric_name}" } @{ $dataset->{metrics} };
	my ($stdout, $stderr);
	$node->psql('postgres', "SELECT $columns FROM cost_ledger.$dataset->{table_name} LIMIT 0; SELECT $metrics FROM cost_ledger.$dataset->{table_name}", stdout => \$stdout, stderr => \$stderr, extra_params => [ '-U', 'all_reader' ]);
	none("$file has columns and metrics of the view", $stderr || (), grep { /(?:^|\|)(?:\||$)/ } $stdout);
}
my $tds = text('dashboards/tableau/cost_by_day.tds');
my %of_view = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', q{SELECT attname FROM pg_attribute WHERE attrelid = 'cost_ledger.cost_by_day'::regclass AND attnum > 0});
none('the Tableau source adds up columns of the view', grep { !$of_view{$_} } $tds =~ /SUM\(\[(\w+)\]\)/g);
is(JSON::PP->new->decode(text('dashboards/powerbi/cost_ledger.pbids'))->{connections}[0]{details}{protocol}, 'postgresql', 'Power BI is led to PostgreSQL');

$node->stop;
done_testing();
