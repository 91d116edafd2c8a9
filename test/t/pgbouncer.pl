# Through PgBouncer in transaction mode, where each transaction of a client may run
# on another connection to the server: what a gateway does is as exact as without,
# and what is set reaches every connection that the pool keeps.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

# Debian puts it where only root looks.
my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'pgbouncer is not installed (apt-get install pgbouncer)' unless $pgbouncer;
my ($version) = `$pgbouncer --version` =~ /PgBouncer (\d+\.\d+)/;
$version = sprintf '%d%03d', split /\./, $version;

my $clients = 20;
my $transactions = 20;
my $connections = 3;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'max_connections = 30');
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION cost_ledger;
    SELECT cost_ledger.create_ledger();
    SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2020-01-01');
    CREATE ROLE gateway LOGIN;
    CREATE ROLE reader LOGIN;
    SELECT cost_ledger.grant_gateway('gateway'), cost_ledger.grant_reader('reader');
});
sub value { return $node->safe_psql('postgres', $_[0]) }

# Sockets only, as the server.
my $dir = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();
append_to_file("$dir/users", qq("gateway" ""\n"reader" ""\n));
append_to_file("$dir/pgbouncer.ini", join "\n", '[databases]', 'postgres = host=' . $node->host . ' port=' . $node->port, '[pgbouncer]',
    "listen_addr =", "listen_port = $port", "unix_socket_dir = $dir", 'auth_type = trust', "auth_file = $dir/users",
    'pool_mode = transaction', "default_pool_size = $connections", 'max_client_conn = 200',
    ($version >= 1021 ? 'max_prepared_statements = 20' : ()), '');
my $pool = IPC::Run::start([ $pgbouncer, '-q', "$dir/pgbouncer.ini" ], '<', \'', '>&', "$dir/log");
END
{
    # Its end is not the test's.
    local $?;
    $pool->kill_kill if $pool;
}

sub through { return "host=$dir port=$port dbname=postgres user=$_[0]" }

# What one client asks, and whether it could.
sub ask
{
    my ($role, $query) = @_;
    my ($out, $err) = run_command([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', through($role), '-c', $query ]);
    return $err ? "error: $err" : $out;
}
for (1 .. 100)
{
    last if -S "$dir/.s.PGSQL.$port";
    sleep 0.05;
}
is(ask('gateway', 'SELECT current_user'), 'gateway', 'the pool lets a gateway in') or diag(slurp_file("$dir/log"));

# A new connection for every call: reserve, then record or release, or find no room.
my $limit = 100;
sub gateway
{
    my ($mode) = @_;
    my $quoted = $mode eq 'simple' ? 'quote_literal(hold_id)' : 'hold_id::text';
    append_to_file("$dir/$mode.sql", qq{
\\set n random(1, 9000000000000)
\\set end random(1, 4)
SELECT (hold_id IS NOT NULL)::integer AS granted, coalesce($quoted, '') AS hold
FROM cost_ledger.reserve('$mode' || :client_id::integer || '-' || :n::bigint, '{"team": "$mode", "user_id": "u"}', 1) \\gset
\\if :granted
\\if :end = 1
SELECT cost_ledger.release('$mode' || :client_id::integer || '-' || :n::bigint);
\\else
INSERT INTO cost_ledger.call (provider, model, team, user_id, input_tokens, hold_id) VALUES ('openai', 'm', '$mode', 'u', 1000000, :hold::uuid);
\\endif
\\endif
});
    value(qq{SELECT cost_ledger.set_budget('$mode', '{"team": "$mode"}', 'total', $limit)});
    my ($out, $err) = run_command([ 'pgbench', '-n', '-C', '-M', $mode, '-c', $clients, '-j', 2, '-t', $transactions, '-f', "$dir/$mode.sql", through('gateway') ]);
    like($out, qr{number of transactions actually processed: (\d+)/\1\b}, "$mode: every transaction ended") or diag($err);
    unlike($err, qr/aborted|ERROR/, "$mode: no client failed");
    is(value("SELECT count(*) FROM cost_ledger.call WHERE team = '$mode'"), $limit, "$mode: as many calls as fit, not one more");
    is(value("SELECT posted || ' ' || held FROM cost_ledger_internal.budget_balance b JOIN cost_ledger.budget USING (budget_id)
              WHERE name = '$mode' AND posted <> 0"), "$limit 0", "$mode: they are posted, and nothing is held");
}

# Statements whole, and with parameters; named ones from PgBouncer 1.21 on.
gateway($_) for 'simple', 'extended', $version >= 1021 ? 'prepared' : ();
is(value('SELECT count(*) FROM cost_ledger.check_balances()'), 0, 'balances are the calls and the holds');
is(value("SELECT count(*) FROM cost_ledger.open_hold"), 0, 'no hold is open');
my $servers = value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'gateway'");
cmp_ok($servers, '<=', $connections, 'over few connections to the server');
cmp_ok($servers, '>', 1, 'of which there are several');

# A named statement lives within a transaction, whatever the version.
is(ask('gateway', q{BEGIN; PREPARE asked (text) AS SELECT decision FROM cost_ledger.reserve($1, '{"team": "free"}', 1);
    EXECUTE asked('named'); DEALLOCATE asked; COMMIT}), 'allow', 'a named statement in a transaction');

# All at once, so that every connection of the pool is asked.
sub decisions
{
    append_to_file("$dir/decide.sql", q{SELECT 1 / (decision = :wanted)::integer FROM cost_ledger.reserve('check', '{"team": "free"}', 1, check_only => true) CROSS JOIN pg_sleep(0.01);}) unless -e "$dir/decide.sql";
    my (undef, $err) = run_command([ 'pgbench', '-n', '-D', "wanted='$_[0]'", '-c', $connections * 2, '-t', 5, '-f', "$dir/decide.sql", through('gateway') ]);
    return $err =~ /ERROR|aborted/ ? $err : $_[0];
}
is(decisions('allow'), 'allow', 'every connection allows');
value(q{SELECT cost_ledger.pause('{}', 'test')});
is(decisions('stop'), 'stop', 'and stops once it is paused');
value(q{SELECT cost_ledger.resume('{}')});
is(decisions('allow'), 'allow', 'and allows when that is over');
value(q{SELECT cost_ledger.set_budget('free', '{"team": "free"}', 'total', 0.5)});
is(decisions('stop'), 'stop', 'and knows of a budget that is set');

is(ask('reader', q{SELECT spent, held, level FROM cost_ledger.budget_status WHERE name = 'extended'}), "$limit|0|stop", 'a reader sees how it stands');
like(ask('gateway', 'SELECT count(*) FROM cost_ledger.budget_status'), qr/permission denied/, 'and a gateway does not, on the same server');

done_testing();
