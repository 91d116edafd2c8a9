# The report page, in a browser without a screen: its numbers are those of the
# calls, its filters choose what they say, nothing that users named gets out of
# its place, and ledgers of all kinds are drawn without an error.
#
# Wants Chromium (Debian: apt-get install chromium), and for the part that an
# accessibility checker does, axe-core (npm ci in test/report).

use strict;
use warnings;
use utf8;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($chromium) = grep { -x } map { my $name = $_; map { "$_/$name" } split /:/, $ENV{PATH} } qw(chromium chromium-browser google-chrome);
plan skip_all => 'there is no Chromium (Debian: apt-get install chromium)' unless $chromium;

my $axe = -f 'test/report/node_modules/axe-core/axe.min.js' ? slurp_file('test/report/node_modules/axe-core/axe.min.js') : undef;
my $driver = slurp_file('test/report/driver.js');
my $dir = PostgreSQL::Test::Utils::tempdir();

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'\nfsync = off");
$node->start;
my %connection = (PGHOST => $node->host, PGPORT => $node->port, PGUSER => $node->safe_psql('postgres', 'SELECT current_user'));

# With the extension, and no ledger.
$node->safe_psql('postgres', 'CREATE DATABASE bare');
$node->safe_psql('bare', 'CREATE EXTENSION cost_ledger');

sub make_ledger
{
	my ($database, $arguments, $sql) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE bare");
	$node->safe_psql($database, "SELECT cost_ledger.create_ledger($arguments);" . ($sql || ''));
}

# script/report: its status, what it wrote and what it said.
sub report
{
	my ($database, @arguments) = @_;
	local %ENV = (%ENV, %connection, PGDATABASE => $database);
	my $file = $database eq '' ? $dir : "$dir/$database.html";
	unlink $file if $database ne '';
	my ($out, $err);
	my $status = IPC::Run::run([ 'script/report', @arguments, $file ], '>', \$out, '2>', \$err);
	return ($status, -f $file ? slurp_file($file) : undef, $err);
}

# What the browser reads on pages, after having worked their filters: of each
# { name, page, wanted, axe, width } what test/report/driver.js has found.
sub read_pages
{
	my (@pages) = @_;
	my $json = JSON::PP->new->ascii;
	my $early = <<'JS';
<script>window.errors = [];
addEventListener('error', e => errors.push(String(e.message)));
addEventListener('unhandledrejection', e => errors.push(String(e.reason)));
for (const kind of ['error', 'warn']) console[kind] = (...said) => errors.push(said.join(' '));</script>
JS
	my $frames = '';
	for my $given (@pages)
	{
		my $page = $given->{page};
		$page =~ s/<head>/<head>$early/ or die 'no head';
		# In the order of the list, which a hash would lose.
		my $wanted = join ',', map { $json->encode($_->[0]) . ':' . $json->encode($_->[1]) } @{ $given->{wanted} || [] };
		my $late = ($wanted ne '' ? "<script>window.wanted = {$wanted};</script>" : '') . ($given->{axe} && $axe ? "<script>$axe</script>" : '') . "<script>$driver</script>";
		$page =~ s{</body>\s*</html>\s*\z}{$late</body></html>} or die 'no end';
		write_file("$dir/$given->{name}.read.html", $page);
		$frames .= sprintf '<iframe name="%s" src="%s.read.html" style="width: %dpx; height: 1600px; border: 0"></iframe>', $given->{name}, $given->{name}, $given->{width} || 1280;
	}
	write_file("$dir/frames.html", qq(<!DOCTYPE html><title>pages</title><body>$frames<script>
		const look = () => {
			const read = [...document.querySelectorAll('iframe')].map(f => f.contentDocument && f.contentDocument.getElementById('read'));
			if (read.some(pre => !pre)) return setTimeout(look, 100);
			for (const [i, pre] of read.entries()) {
				const copy = document.createElement('pre');
				copy.id = frames[i].name;
				copy.textContent = pre.textContent;
				document.body.append(copy);
			}
		};
		look();
	</script></body>));
	my ($dom, $err) = ('', '');
	# The frames may read each other, though they are files.
	IPC::Run::run([ $chromium, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', "--user-data-dir=$dir/chromium", '--enable-logging=stderr', '--allow-file-access-from-files',
		'--window-size=1400,1600', '--virtual-time-budget=60000', '--dump-dom', "file://$dir/frames.html" ], '>', \$dom, '2>', \$err, IPC::Run::timeout(300));
	my @read;
	for my $given (@pages)
	{
		my ($text) = $dom =~ m{<pre id="\Q$given->{name}\E">([^<]*)</pre>} or BAIL_OUT("the browser could not read the page $given->{name}: " . substr($err, -1000));
		$text =~ s/%([0-9A-Fa-f]{2})/chr(hex($1))/ge;
		push @read, JSON::PP->new->utf8->decode($text);
	}
	push @{ $read[0]{errors} }, $err =~ /CONSOLE[:(][^\n]*/g;
	return @read;
}

sub write_file
{
	my ($file, $text) = @_;
	open my $out, '>', $file or die "$file: $!";
	print $out $text;
	close $out or die "$file: $!";
}

# Rows of a query, by their first column.
sub rows_of
{
	my ($database, $sql) = @_;
	return map { my @fields = split /\|/, $_, -1; (shift @fields => \@fields) } split /\n/, $node->safe_psql($database, $sql);
}

sub same_number
{
	my ($got, $expected, $name) = @_;
	$got //= '';
	$expected //= '';
	my $is_same = $got eq '' || $expected eq '' ? $got eq $expected : abs($got - $expected) <= 1e-9 * abs($expected);
	ok($is_same, $name) or diag("page: $got, SQL: $expected");
}

# A table of a page beside a query: name, then numbers by their place in the row.
sub same_table
{
	my ($rows, $places, $expected, $name) = @_;
	my %got = map { my $row = $_; ($row->[0] => [ map { $_ =~ /\d/ ? 0 + $_ : '' } @$row[@$places] ]) } @{ $rows || [] };
	is_deeply([ sort keys %got ], [ sort keys %$expected ], "$name: the rows") or return;
	my @differ;
	for my $key (sort keys %$expected)
	{
		for my $i (0 .. $#$places)
		{
			my ($a, $b) = ($got{$key}[$i], $expected->{$key}[$i]);
			push @differ, "$key: $a, not $b" if $a eq '' || $b eq '' ? $a ne $b : abs($a - $b) > 1e-9 * abs($b);
		}
	}
	is(join('; ', @differ), '', "$name: the numbers");
}

#
# The sample data: every block is full
#

make_ledger('sample', '');
$node->command_ok([ 'psql', '-Xq', '-d', $node->connstr('sample'), '-v', 'ON_ERROR_STOP=1', '-f', 'examples/sample_data.sql' ], 'the sample data can be loaded');
my ($status, $page, $err) = report('sample', '--title', 'Sample <b>"cost"</b>');
ok($status, 'the page is made') or diag($err);
cmp_ok(length $page, '<', 2_000_000, 'it is smaller than 2 MB');
unlike($page =~ s/.*<script type="application\/json" id="data">//sr =~ s{</script>.*}{}sr, qr/</, 'no < of the data stands in the page as such');
unlike($page, qr{(?:src|href)="https?:}, 'it asks nothing of the network');

my ($read) = read_pages({ name => 'sample', page => $page, axe => 1, wanted => [
	[ team => { team => 'search' } ],
	[ both => { team => 'support', customer => 'wayne', period => 'Last 7 days' } ],
	[ customer => { team => 'All', customer => 'contoso' } ],
	[ last_month => { team => 'research', customer => 'All', period => $node->safe_psql('postgres', "SELECT trim(to_char(date_trunc('month', now()) - interval '1 month', 'Month'))") } ]] });
is(join("\n", @{ $read->{errors} }), '', 'no error, nothing on the console');
is($read->{title}, 'Sample <b>"cost"</b>', 'the title is text');
is($read->{strange}, 0, 'nothing is on the page that it did not make');
is($read->{first}{charts}, 3, 'the charts are drawn');
is_deeply($read->{first}{tooWide}, [], 'nothing is wider than the page');
is_deeply([ grep { !m{^https://traces\.example\.com/run-} } @{ $read->{links} } ], [], 'links lead to traces');

my $today = $read->{meta}{today};
my $now = $read->{meta}{made_at} / 1000;
my ($per_run, $per_user, $month, $week) = map { $_->{value} } @{ $read->{first}{numbers} };
my %in = (
	days7 => "BETWEEN date '$today' - 6 AND date '$today'", days30 => "BETWEEN date '$today' - 29 AND date '$today'",
	month => "BETWEEN date_trunc('month', date '$today') AND date '$today'",
	last_month => "BETWEEN date_trunc('month', date '$today') - interval '1 month' AND date_trunc('month', date '$today') - interval '1 day'");
my $call_day = "(c.called_at AT TIME ZONE 'UTC')::date";
my $run_day = "(r.started_at AT TIME ZONE 'UTC')::date";

same_number($per_run, $node->safe_psql('sample', "SELECT avg(r.cost) FROM cost_ledger.run_tree r WHERE $run_day $in{days7}"), 'cost per run');
same_number($per_user, $node->safe_psql('sample', 'SELECT mean_cost FROM cost_ledger.cost_per_user_by_month WHERE users > 0 ORDER BY month DESC LIMIT 1'), 'cost per user and month');
same_number($month, $node->safe_psql('sample', "SELECT sum(cost) FROM cost_ledger.call c WHERE $call_day $in{month}"), 'month to date');
is(sprintf('%.6f', $week), $node->safe_psql('sample', "SELECT change_ratio FROM cost_ledger.week_over_week WHERE label = 'total' AND is_complete ORDER BY week DESC LIMIT 1"), 'week over week');
like($read->{first}{numbers}[0]{text}, qr/without the largest run/, 'a number that one run bends says so');

# What a filter and a period choose, as a condition of call and of run_tree.
my %view = (
	first => [ 'true', 'days30' ],
	team => [ "team = 'search'", 'days30' ],
	both => [ "team = 'support' AND customer = 'wayne'", 'days7' ],
	customer => [ "customer = 'contoso'", 'days7' ],
	last_month => [ "team = 'research'", 'last_month' ]);
for my $name (sort keys %view)
{
	my ($condition, $period) = @{ $view{$name} };
	my ($tables, $where) = ($read->{$name}{tables}, "$call_day $in{$period} AND $condition");
	same_table($tables->{'Cost by team'}, [ 1, 2 ], { rows_of('sample', "SELECT coalesce(team, '(unallocated)'), count(*) FILTER (WHERE corrects IS NULL), sum(cost) FROM cost_ledger.call c WHERE $where GROUP BY team") }, "$name: cost by team");
	same_table($tables->{'Cost by customer'}, [ 1, 2 ], { rows_of('sample', "SELECT coalesce(customer, '(unallocated)'), count(*), sum(cost) FROM cost_ledger.call c WHERE $where GROUP BY customer") }, "$name: cost by customer");
	same_table($tables->{'Cost by Model'}, [1], { rows_of('sample', "SELECT provider || ' / ' || model, sum(cost) FROM cost_ledger.call c WHERE $where GROUP BY provider, model") }, "$name: cost by model");
	same_table($tables->{'Cost by Operation'}, [1], { rows_of('sample', "SELECT coalesce(operation, '(unallocated)'), sum(cost) FROM cost_ledger.call c WHERE $where GROUP BY operation") }, "$name: cost by operation");
	same_table([ grep { $_->[1] > 0 } @{ $tables->{'Prompt cache by feature'} || [] } ], [ 1, 2, 6 ], { rows_of('sample', "SELECT coalesce(feature, '(unallocated)'), sum(input_tokens), coalesce(sum(cache_read_tokens), 0) / sum(input_tokens), sum(prompt_cache_saving) FROM cost_ledger.call c WHERE $where AND served_from = 'model' GROUP BY feature HAVING sum(input_tokens) > 0") }, "$name: prompt cache");
	same_number($read->{$name}{amounts}{'Do the caches work?'}, $node->safe_psql('sample', "SELECT sum(prompt_cache_saving) FROM cost_ledger.call c WHERE $where"), "$name: what prompt caches saved");
	is($read->{$name}{running}, $node->safe_psql('sample', "SELECT 2 * count(*) FROM (SELECT FROM cost_ledger.run_tree r WHERE $run_day = date '$today' AND $run_day $in{$period} AND $condition HAVING count(cost) > 0) t"), "$name: the mean and p95 of the day that runs are lighter");
	my @dearest = split /\n/, $node->safe_psql('sample', "SELECT root_run_id || '|' || cost FROM cost_ledger.run_tree r WHERE $run_day $in{$period} AND $condition ORDER BY cost DESC, started_at, root_run_id LIMIT 10");
	is_deeply([ map { "$_->[0]|" . ($_->[7] + 0) } @{ $tables->{'The dearest tasks'} || [] } ], [ map { my ($id, $cost) = split /\|/; "$id|" . ($cost + 0) } @dearest ], "$name: the dearest tasks");
	my %days = rows_of('sample', "SELECT $run_day, count(*), avg(cost), cost_ledger.p95(cost), max(cost) FROM cost_ledger.run_tree r WHERE $run_day $in{$period} AND $condition GROUP BY 1");
	same_table([ grep { $_->[1] > 0 } @{ $read->{$name}{tables}{'Cost per run by day'} || [] } ], [ 1 .. 4 ], \%days, "$name: cost per run by day");
}
my %margin = rows_of('sample', "SELECT feature, revenue, cost, margin, margin_ratio FROM cost_ledger.margin_by_feature WHERE month = date_trunc('month', date '$today')");
same_table($read->{first}{tables}{'Margin by feature'}, [ 1 .. 4 ], \%margin, 'margins of features');
my %runs = rows_of('sample', "SELECT task_type, mean_cost_per_run, p95_cost_per_run FROM cost_ledger.cost_by_task_type WHERE month = date_trunc('month', date '$today') - interval '1 month' AND runs > 0");
my %shown = map { ($_->[0] => $_) } @{ $read->{last_month}{tables}{'Cost by kind of task'} };
same_number($shown{$_}[2], $runs{$_}[0], "cost per run of $_") for grep { $shown{$_} } qw(market_report competitor_scan);
is($shown{market_report}[1], 'run', 'the unit of a bar is told');

is($read->{both}{hash}, '#period=days7&team=%3Dsupport&customer=%3Dwayne', 'what is chosen stands in the address');
is_deeply($read->{again}{tables}, $read->{last_month}{tables}, 'and the address brings it back');
ok($read->{definition}{isShown} && $read->{definition}{isGone}, 'a definition appears with the focus, and goes with it');
is($read->{definition}{text}, $node->safe_psql('sample', sprintf("SELECT col_description('cost_ledger.%s'::regclass, attnum) FROM pg_attribute WHERE attrelid = 'cost_ledger.%s'::regclass AND attname = '%s'", (split /\./, $read->{definition}{of})[ 0, 0, 1 ])), 'it is the one of the catalog');
is($read->{sorted}{says}, 'ascending', 'a table is sorted by a click, and says so');
is_deeply([ map { $_->[1] } @{ $read->{sorted}{rows} } ], [ sort { $a <=> $b } map { $_->[1] } @{ $read->{sorted}{rows} } ], 'by the numbers');
is($read->{stillSorted}{says}, 'ascending', 'which another choice leaves as it is');
is($read->{back}, $read->{last_month}{hash}, 'a step back is the choice before');
like($read->{unknown}, qr/all teams.*not on this page: team nobody/, 'of a team that the page does not have, a link says so');
like($read->{copied}, qr/^Model,Cost \(USD\),Share,Share of calls,Cost per call \(USD\)\r\n/, 'and copied as CSV');
is_deeply($read->{first}{scrolled}, [], 'no table is wider than its place');
is_deeply($read->{first}{undefinedNumbers}, [], 'every number has a definition');
SKIP:
{
	skip 'there is no axe-core (npm ci in test/report)', 1 unless $axe;
	cmp_ok($read->{axePasses}, '>', 20, 'the accessibility checker has looked');
	is(join("\n", grep { /^(?:serious|critical)/ } @{ $read->{axe} }), '', 'and finds nothing serious');
}

#
# Ledgers of other kinds
#

make_ledger('empty', '');
make_ledger('yen', "currency => 'JPY', time_zone => 'posix/Asia/Tokyo'", q(
	SELECT cost_ledger.set_price('acme', 'large', '{"input_tokens": 1000}', '2020-01-01');
	SELECT cost_ledger.create_partitions(now(), now() + interval '40 days');
	INSERT INTO cost_ledger.call (provider, model, input_tokens) VALUES ('acme', 'large', 1234567);
	INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES (now() + interval '35 days', 'acme', 'large', 1234567)));

# Thirteen months, 2,000 teams, names in every script and of every kind, from a
# billionth to a billion.
make_ledger('wild', "currency => 'INR', time_zone => 'Asia/Kolkata'", q(
	SELECT cost_ledger.create_partitions(now() - interval '13 months', now());
	SELECT cost_ledger.set_price('acme', 'tiny', '{"input_tokens": 0.001}', '2020-01-01');
	SELECT cost_ledger.set_price('acme', 'huge', '{"input_tokens": 1000}', '2020-01-01');
	SELECT cost_ledger.set_price('acme', 'tiny', '{"input_tokens": 0.00075}', now() - interval '1 minute');
	INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, feature, customer, task_type, user_id, run_id, trace_url)
	SELECT now() - n * interval '95 minutes', 'acme', CASE WHEN n % 2 = 0 THEN 'tiny' ELSE 'huge' END, CASE WHEN n = 7 THEN 1000000000000 ELSE 1 END,
	       CASE WHEN n % 3 = 0 THEN names[1 + n / 3 % 12] ELSE 'team-' || n % 2000 END, names[1 + n % 12], names[1 + n / 7 % 12], names[1 + n / 5 % 12], names[1 + n % 12], names[1 + n % 12] || n / 3,
	       CASE n % 3 WHEN 0 THEN 'javascript:alert(1)' WHEN 1 THEN 'https://traces.example.com/"><script>alert(1)</script>' END
	FROM generate_series(1, 6000) AS n,
	     (SELECT ARRAY['</script><script>errors.push("out")</script>', '<img src=x onerror=errors.push("img")>', '"quoted" & ''it''', E'back\\\\slash\nline', '=1+1', 'متجر القاهرة', 'חנות',
	                   '東京支店', 'मुंबई', 'Ελλάδα', repeat('very_long_', 20), '{run_id} %s @data@'] AS names) v));
$node->safe_psql('wild', q(
	ALTER DATABASE wild SET client_encoding = 'LATIN1';
	ALTER DATABASE wild SET DateStyle = 'German';
	ALTER DATABASE wild SET standard_conforming_strings = off;
	CREATE ROLE quiet; GRANT CONNECT ON DATABASE wild TO quiet;
	CREATE ROLE lead; SELECT cost_ledger.grant_team_reader('lead', 'team-8')));
my ($is_made, $wild) = report('wild', '--run-link', 'https://runs.example.com/{run_id}');
cmp_ok(length $wild, '<', 2_000_000, 'the page of 2,000 teams is smaller than 2 MB');
my $seen = (report('wild', '--role', 'lead'))[1];
unlike($seen, qr/team-9\b/, 'what a reader may not see is not in the file');
my ($empty, $yen, $lead, $phone);
($empty, $yen, $read, $phone, $lead) = read_pages(
	{ name => 'empty', page => (report('empty'))[1] },
	{ name => 'yen', page => (report('yen'))[1], axe => 1 },
	{ name => 'wild', page => $wild, axe => 1 },
	{ name => 'phone', page => $wild, width => 390 },
	{ name => 'lead', page => $seen });

is(join("\n", @{ $empty->{errors} }), '', 'an empty ledger is drawn without an error');
is_deeply($empty->{first}{questions}, ['There are no calls here yet'], 'and says what to do');

is(join("\n", @{ $yen->{errors} }), '', 'a ledger of one call is drawn without an error');
same_number($yen->{first}{numbers}[2]{value}, '1234.567', 'with what it costs');
like($yen->{first}{numbers}[2]{text}, qr/[¥￥]1,235/, 'in yen, which have no decimals');
like($yen->{first}{about}, qr/Asia\/Tokyo, just now · all teams · JPY · 1 call, /, 'a zone that the browser knows by another name, and one is one');
like($yen->{body}, qr/dated later than today, and in no number here\s+1 call/, 'a call of the future is in no number, and told of');
ok((grep { /run_id/ } @{ $yen->{first}{hints} }) && (grep { /revenue/i } @{ $yen->{first}{hints} }), 'hints stand where runs and revenue are missing');
is(join("\n", grep { /^(?:serious|critical)/ } @{ $yen->{axe} || [] }), '', 'the accessibility checker finds nothing serious there either');

is(join("\n", @{ $read->{errors} }), '', 'names of every kind are drawn without an error, and do nothing');
is($read->{strange}, 0, 'they are text');
is(scalar @{ $read->{filters}{'filter-team'} }, 22, 'of 2,000 teams there are 20 and the others');
like($read->{filters}{'filter-team'}[21], qr/^all [\d,]+ others$/, 'which are counted');
my ($total) = map { $_->{value} } $read->{first}{numbers}[2];
same_number($total, $node->safe_psql('wild', "SELECT sum(cost) FROM cost_ledger.call c WHERE c.called_at >= date_trunc('month', now(), 'Asia/Kolkata')"), 'a billion is a billion');
like($read->{first}{numbers}[2]{text}, qr/₹/, 'in rupees');
my $shared = 0;
$shared += $_->[2] for @{ $read->{first}{tables}{'Cost by team'} };
same_number($shared, $node->safe_psql('wild', "SELECT sum(cost) FROM cost_ledger.call c WHERE (c.called_at AT TIME ZONE 'Asia/Kolkata')::date > (now() AT TIME ZONE 'Asia/Kolkata')::date - 30"), 'teams and the others are the whole');
is_deeply([ grep { !m{^https://(?:traces|runs)\.example\.com/} } @{ $read->{links} } ], [], 'only http is a link');
is_deeply($read->{prices}[0], [ $read->{prices}[0][0], 'acme / tiny', 'input_tokens', '₹0.00075', '1,000,000', '₹0.001', '-25%' ], 'a price has all its digits');
ok((grep { /▲/ } @{ $read->{first}{charted}[1] }), 'a user of a billion does not make dots of the others');
ok((grep { $_ eq '20%' } @{ $read->{first}{charted}[2] }) && (grep { $_ eq '15%' } @{ $read->{first}{charted}[2] }), 'nor a week of it one line of the thresholds');
is_deeply($read->{first}{tooWide}, [], 'long names break');
is_deeply($read->{first}{scrolled}, [], 'in tables too');
is(join("\n", grep { /^(?:serious|critical)/ } @{ $read->{axe} || [] }), '', 'the accessibility checker finds nothing serious');
is_deeply([ map { @{ $phone->{first}{$_} } } qw(tooWide scrolled) ], [], 'on a phone too');
is(join("\n", @{ $lead->{errors} }), '', 'a page of one team is drawn without an error');
is_deeply([ map { $_->[0] } @{ $lead->{first}{tables}{'Cost by team'} } ], ['team-8'], 'and has that team alone');

#
# Errors
#

for my $case (
	[ 'nothing', [], qr/does not exist.*hint: Set PGHOST/s, 'no database' ],
	[ 'postgres', [], qr/no extension cost_ledger.*CREATE EXTENSION/s, 'no extension' ],
	[ 'bare', [], qr/no ledger.*create_ledger/s, 'no ledger' ],
	[ 'wild', [ '--role', 'quiet' ], qr/permission denied.*grant_reader/s, 'no rights' ],
	[ 'wild', [ '--role', 'nobody' ], qr/role "nobody" does not exist.*--role/s, 'no such role' ],
	[ 'wild', [ '--days', 'x' ], qr/--days wants/, 'no number' ],
	[ 'wild', [ '--days=0' ], qr/--days wants/, 'no days' ],
	[ 'wild', [ '--what' ], qr/no option --what/, 'no such option' ],
	[ '', [], qr/is a folder.*ai-cost\.html/s, 'a folder' ])
{
	my ($database, $arguments, $expected, $name) = @$case;
	my ($ok, $none, $said) = report($database, @$arguments);
	ok(!$ok && !defined $none, "$name: nothing is written");
	like($said, $expected, "$name: the error says what to do");
}

#
# Again and again
#

{
	local %ENV = (%ENV, %connection, PGDATABASE => 'yen');
	my $file = "$dir/again.html";
	my $run = IPC::Run::start([ 'script/report', '--every', '1', $file ], '>', \my $out, '2>', \my $said);
	my %inodes;
	for (1 .. 100)
	{
		$inodes{ (stat $file)[1] } = 1 if -f $file;
		last if keys %inodes > 1;
		select undef, undef, undef, 0.1;
	}
	$run->signal('TERM');
	$run->finish;
	cmp_ok(scalar keys %inodes, '>', 1, 'with --every, the file is replaced, not written over');
	like(slurp_file($file), qr/"refresh_seconds" : 1/, 'and reloads itself');
	ok(!-e "$file.new", 'nothing is left beside it');
}

$node->stop;
done_testing();
