# Rollups in other places than where they were made: restored into clusters with
# lower and higher transaction ids, on a standby before and after its promotion,
# on a subscriber of logical replication.  At every step the reports are the ledger,
# and every call is brought into the rollups once.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $calls = 0;
my $sum = 0;

# What is asked at every step: how many calls and how much, whether the
# rollups and what is not in them yet are that, whether the rollups are right.
sub ledger_is
{
    my ($node, $database, $what) = @_;
    is($node->safe_psql($database, q{
        WITH c AS (SELECT count(*) AS calls, coalesce(sum(cost), 0) AS cost FROM cost_ledger.call),
             u AS (SELECT count(*) AS calls, coalesce(sum(cost), 0) AS cost FROM cost_ledger_internal.unconsumed_call),
             d AS (SELECT coalesce(sum(calls), 0) AS calls, coalesce(sum(cost), 0) AS cost FROM cost_ledger_internal.rollup_day)
        SELECT c.calls, trim_scale(c.cost * 1000000), c.calls = u.calls + d.calls AND c.cost = u.cost + d.cost,
               (SELECT count(*) FROM cost_ledger.check_rollups())
        FROM c, u, d}), "$calls|$sum|t|0", $what);
}

sub consumed_is
{
    my ($node, $database, $what) = @_;
    is($node->safe_psql($database, 'SELECT sum(calls), trim_scale(sum(cost) * 1000000), (SELECT count(*) FROM cost_ledger_internal.unconsumed_call) FROM cost_ledger_internal.rollup_day'),
        "$calls|$sum|0", "$what: all are in the rollups, once");
    ledger_is($node, $database, "$what: and the rollups are right");
}

# Each call costs as many millionths as it has tokens.
sub calls
{
    my ($number, $tokens, $begin, $end) = @_;
    return sprintf q{%s INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens, team, run_id, user_id)
        SELECT timestamptz '2026-05-01Z' + i * interval '5 hours', 'openai', 'm', %d, 'team' || i %% 3, 'run' || i %% 4, 'user' || i %% 5
        FROM generate_series(1, %d) AS i; %s}, $begin // '', $tokens, $number, $end // '';
}

sub record
{
    my ($node, $database, $number, $tokens) = @_;
    $node->safe_psql($database, calls($number, $tokens));
    $calls += $number;
    $sum += $number * $tokens;
}

sub burn
{
    my ($node, $number) = @_;
    $node->safe_psql('postgres', "DO \$\$ BEGIN FOR i IN 1 .. $number LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END \$\$");
}

sub transaction_id { return $_[0]->safe_psql('postgres', 'SELECT pg_snapshot_xmax(pg_current_snapshot())') }

# An error that says what to do.
sub refused
{
    my ($node, $database, $sql, $message, $hint, $what) = @_;
    my ($status, undef, $error) = $node->psql($database, $sql);
    isnt($status, 0, "$what: refused");
    like($error, $message, "$what: and why");
    like($error, $hint, "$what: and what to do");
}

sub new_node
{
    my ($name, %option) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init(allows_streaming => $option{publishes} ? 'logical' : 0);
    $node->append_conf('postgresql.conf', "max_prepared_transactions = 10\n");
    PostgreSQL::Test::Utils::system_or_bail('pg_resetwal', '-e', $option{epoch}, '-D', $node->data_dir) if $option{epoch};
    $node->start;
    return $node;
}

my $dir = PostgreSQL::Test::Utils::tempdir();

sub restore_into
{
    my ($from, $from_database, $to, $to_database) = @_;
    my $file = "$dir/" . $to->name . ".$to_database";
    $from->command_ok([ 'pg_dump', '-Fc', '-f', $file, $from->connstr($from_database) ], 'dump ' . $from->name);
    $to->safe_psql('postgres', "CREATE DATABASE $to_database");
    $to->command_ok([ 'pg_restore', '--exit-on-error', '-d', $to->connstr($to_database), $file ], 'restore into ' . $to->name);
}

# ---------------------------------------------------------------------------
# A ledger with calls of every standing: brought in, not yet, and of a
# transaction that was open when it was last refreshed.

my $first = new_node('first', publishes => 1);
burn($first, 20000);
$first->safe_psql('postgres', 'CREATE DATABASE ledger');
$first->safe_psql('ledger', q{
    CREATE EXTENSION cost_ledger;
    SELECT cost_ledger.create_ledger(time_zone => 'Asia/Kolkata');
    SELECT cost_ledger.create_partitions('2026-05-01', '2026-06-30');
    SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2026-01-01');
});
record($first, 'ledger', 100, 1);
$first->safe_psql('ledger', calls(7, 10, 'BEGIN;', "PREPARE TRANSACTION 'late'"));
$first->safe_psql('ledger', calls(3, 100, 'BEGIN;', "PREPARE TRANSACTION 'later'"));
record($first, 'ledger', 1, 1);
$first->safe_psql('ledger', 'CALL cost_ledger.refresh()');
consumed_is($first, 'ledger', 'first');
record($first, 'ledger', 50, 1000);
$first->safe_psql('ledger', "COMMIT PREPARED 'late'");
$calls += 7;
$sum += 70;
ledger_is($first, 'ledger', 'first: some are not yet in');
is($first->safe_psql('ledger', 'SELECT count(*) FROM cost_ledger_internal.unconsumed_call'), 57, 'first: those that came since, and of the transaction that was open');

# ---------------------------------------------------------------------------
# Into a cluster whose transaction ids are lower.

my $maximum = $first->safe_psql('ledger', 'SELECT max(recorded_xid::text::bigint) FROM cost_ledger.call');
my ($calls_of_first, $sum_of_first) = ($calls, $sum);
my $second = new_node('second');
restore_into($first, 'ledger', $second, 'ledger');
cmp_ok(transaction_id($second), '<', $maximum, 'second: transaction ids are lower');
ledger_is($second, 'ledger', 'second: reports are right as restored');
my $hint = qr/HINT: .*SELECT cost_ledger\.post_restore\(\);/;
refused($second, 'ledger', 'CALL cost_ledger.refresh()', qr/the ledger was restored/, $hint, 'second: refresh()');
record($second, 'ledger', 5, 1);
is($second->safe_psql('ledger', 'SELECT count(*) FROM cost_ledger.call WHERE recorded_xid IS NULL'), 5, 'second: calls go on being recorded, without a number');
ledger_is($second, 'ledger', 'second: and reports count them');
refused($second, 'ledger', 'CALL cost_ledger.refresh(1)', qr/the ledger was restored/, $hint, 'second: refresh() in batches');
is($second->safe_psql('ledger', 'SELECT cost_ledger.post_restore()'), 62, 'second: post_restore() brings in what was not in yet');
consumed_is($second, 'ledger', 'second: after post_restore()');
is($second->safe_psql('ledger', 'SELECT cost_ledger.post_restore()'), 0, 'second: another post_restore() finds nothing to do');
record($second, 'ledger', 3, 1);
is($second->safe_psql('ledger', "SELECT count(*) FROM cost_ledger.call WHERE recorded_xid::text::bigint > $maximum"), 3,
    'second: calls are numbered from above all that were restored');
ledger_is($second, 'ledger', 'second: then calls are recorded');
$second->safe_psql('ledger', 'CALL cost_ledger.refresh()');
consumed_is($second, 'ledger', 'second: then refreshed');

# and past what was the maximum in the first
$second->safe_psql('ledger', calls(2, 1, 'BEGIN;', "PREPARE TRANSACTION 'long'"));
until (transaction_id($second) > $maximum + 5000)
{
    burn($second, 9000);
    record($second, 'ledger', 4, 1);
    ledger_is($second, 'ledger', 'second: at transaction ' . transaction_id($second));
    $second->safe_psql('ledger', 'CALL cost_ledger.refresh(3)');
    consumed_is($second, 'ledger', 'second: refreshed there');
}
$second->safe_psql('ledger', "COMMIT PREPARED 'long'");
$calls += 2;
$sum += 2;
ledger_is($second, 'ledger', 'second: a transaction from below the maximum ends above it');
$second->safe_psql('ledger', 'CALL cost_ledger.refresh()');
consumed_is($second, 'ledger', 'second: it is in');

# ---------------------------------------------------------------------------
# Once more, and into a cluster whose transaction ids are higher than any.

record($second, 'ledger', 6, 1);
my $third = new_node('third', epoch => 3);
restore_into($second, 'ledger', $third, 'ledger');
cmp_ok(transaction_id($third), '>', 3 * 2**32, 'third: transaction ids are higher');
ledger_is($third, 'ledger', 'third: reports are right as restored');
refused($third, 'ledger', 'CALL cost_ledger.refresh()', qr/the ledger was restored/, $hint, 'third: refresh()');
record($third, 'ledger', 2, 1);
ledger_is($third, 'ledger', 'third: and with calls from before post_restore()');
is($third->safe_psql('ledger', 'SELECT cost_ledger.post_restore()'), 8, 'third: post_restore()');
consumed_is($third, 'ledger', 'third: after post_restore()');
record($third, 'ledger', 9, 1);
$third->safe_psql('ledger', 'CALL cost_ledger.refresh()');
consumed_is($third, 'ledger', 'third: with calls since then');

# A copy in the same cluster could know its transactions, but nothing tells it
# from one that is older or newer than where it is.
record($third, 'ledger', 4, 1);
restore_into($third, 'ledger', $third, 'copy');
record($third, 'copy', 1, 1);
ledger_is($third, 'copy', 'copy in the same cluster: reports are right');
refused($third, 'copy', 'CALL cost_ledger.refresh()', qr/the ledger was restored/, $hint, 'copy in the same cluster: refresh()');
is($third->safe_psql('copy', 'SELECT cost_ledger.post_restore()'), 5, 'copy in the same cluster: post_restore()');
consumed_is($third, 'copy', 'copy in the same cluster');

# Back into a cluster with low ids, with calls that never had a number among
# those that are in.
my $fourth = new_node('fourth');
restore_into($third, 'copy', $fourth, 'ledger');
record($fourth, 'ledger', 2, 1);
is($fourth->safe_psql('ledger', 'SELECT cost_ledger.post_restore()'), 2, 'fourth: post_restore() takes only what is new');
record($fourth, 'ledger', 2, 1);
$fourth->safe_psql('ledger', 'CALL cost_ledger.refresh()');
consumed_is($fourth, 'ledger', 'fourth');
$_->stop for $second, $third, $fourth;

# ---------------------------------------------------------------------------
# A standby: it reports, it does not refresh, and when it is promoted it does.

($calls, $sum) = ($calls_of_first, $sum_of_first);
$first->backup('base');

# A copy of the whole cluster that goes its own way has the same identifier, and
# knows its own transactions.
my $fork = PostgreSQL::Test::Cluster->new('fork');
$fork->init_from_backup($first, 'base');
$fork->start;
$fork->safe_psql('ledger', "ROLLBACK PREPARED 'later'");
record($fork, 'ledger', 2, 1);
is($fork->safe_psql('ledger', 'SELECT needs_post_restore FROM cost_ledger.rollup_status'), 'f', 'fork: it knows its transactions');
$fork->safe_psql('ledger', 'CALL cost_ledger.refresh()');
consumed_is($fork, 'ledger', 'fork: on its own');

# A newer dump from where it was copied, restored in its place, does not.
($calls, $sum) = ($calls_of_first, $sum_of_first);
burn($first, 6000);
record($first, 'ledger', 3, 1);
$first->safe_psql('ledger', 'CALL cost_ledger.refresh()');
record($first, 'ledger', 2, 1);
($calls_of_first, $sum_of_first) = ($calls, $sum);
$first->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/newer", $first->connstr('ledger') ], 'dump first again');
$fork->safe_psql('ledger', 'SELECT cost_ledger.drop_ledger(i_mean_it => true); DROP EXTENSION cost_ledger');
$fork->command_ok([ 'pg_restore', '--exit-on-error', '-d', $fork->connstr('ledger'), "$dir/newer" ], 'fork: restored in place of what it had');
cmp_ok(transaction_id($fork), '<', $fork->safe_psql('ledger', 'SELECT max(recorded_xid::text::bigint) FROM cost_ledger.call'), 'fork: its transactions have not come so far');
record($fork, 'ledger', 4, 1);
is($fork->safe_psql('ledger', 'SELECT count(*) FROM cost_ledger.call WHERE recorded_xid IS NULL'), 4, 'fork: calls are recorded, without a number');
ledger_is($fork, 'ledger', 'fork: and reports count them');
refused($fork, 'ledger', 'CALL cost_ledger.refresh()', qr/the ledger was restored/, $hint, 'fork: refresh()');
is($fork->safe_psql('ledger', 'SELECT needs_post_restore FROM cost_ledger.rollup_status'), 't', 'fork: it waits for post_restore()');
is($fork->safe_psql('ledger', q{SELECT cost_ledger.check_rules() > 0, (SELECT count(*) FROM cost_ledger.unacknowledged_alert WHERE kind = 'needs_post_restore')}), 't|0', 'fork: a rule looks at it');
is($fork->safe_psql('ledger', q{SELECT level FROM cost_ledger.unacknowledged_alert WHERE kind = 'needs_post_restore'}), 'page', 'fork: and pages');
is($fork->safe_psql('ledger', 'SELECT cost_ledger.post_restore()'), 6, 'fork: post_restore()');
consumed_is($fork, 'ledger', 'fork: after post_restore()');
record($fork, 'ledger', 1, 1);
$fork->safe_psql('ledger', 'CALL cost_ledger.refresh()');
consumed_is($fork, 'ledger', 'fork: with calls since then');
$fork->stop;
($calls, $sum) = ($calls_of_first, $sum_of_first);

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($first, 'base', has_streaming => 1);
$standby->start;
record($first, 'ledger', 8, 1);
$first->wait_for_catchup($standby, 'replay', $first->lsn('insert'));
ledger_is($standby, 'ledger', 'standby: reports are those of the primary');
refused($standby, 'ledger', 'CALL cost_ledger.refresh()', qr/this server is a standby/, qr/HINT: .*on the primary/, 'standby: refresh()');
$first->safe_psql('ledger', 'CALL cost_ledger.refresh()');
record($first, 'ledger', 8, 1);
$first->wait_for_catchup($standby, 'replay', $first->lsn('insert'));
ledger_is($standby, 'ledger', 'standby: also after a refresh of the primary');

# ---------------------------------------------------------------------------
# A subscriber has a ledger of its own, and numbers what arrives.

my $subscriber = new_node('subscriber');
$subscriber->safe_psql('postgres', 'CREATE DATABASE ledger');
$subscriber->safe_psql('ledger', q{
    CREATE EXTENSION cost_ledger;
    SELECT cost_ledger.create_ledger();
    SELECT cost_ledger.create_partitions('2026-05-01', '2026-05-31');
    SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 77}', '2026-01-01');
});
# A subscription waits for the transactions that are open, prepared ones too.
$first->safe_psql('ledger', "COMMIT PREPARED 'later'");
$calls += 3;
$sum += 300;
$first->safe_psql('ledger', q{CREATE PUBLICATION calls FOR TABLE cost_ledger.call WITH (publish = 'insert', publish_via_partition_root = true)});
$subscriber->safe_psql('ledger', sprintf q{CREATE SUBSCRIPTION calls CONNECTION '%s' PUBLICATION calls}, $first->connstr('ledger') =~ s/'/''/gr);
$subscriber->wait_for_subscription_sync($first, 'calls', 'ledger');
ledger_is($subscriber, 'ledger', 'subscriber: the calls are there, at what they cost where they were made');
cmp_ok($subscriber->safe_psql('ledger', 'SELECT max(recorded_xid::text::bigint) FROM cost_ledger.call'), '<', $maximum, 'subscriber: they have numbers of its own');
$subscriber->safe_psql('ledger', 'CALL cost_ledger.refresh()');
consumed_is($subscriber, 'ledger', 'subscriber');
record($first, 'ledger', 20, 3);
$first->wait_for_catchup('calls');
ledger_is($subscriber, 'ledger', 'subscriber: more of them');
$subscriber->safe_psql('ledger', 'CALL cost_ledger.refresh(5)');
consumed_is($subscriber, 'ledger', 'subscriber: refreshed again');
# prepared there, committed later: arrives at its commit
$first->safe_psql('ledger', calls(4, 11, 'BEGIN;', "PREPARE TRANSACTION 'latest'"));
record($first, 'ledger', 1, 1);
$first->wait_for_catchup('calls');
$subscriber->safe_psql('ledger', 'CALL cost_ledger.refresh()');
consumed_is($subscriber, 'ledger', 'subscriber: without a transaction that is prepared');
$first->safe_psql('ledger', "COMMIT PREPARED 'latest'");
$calls += 4;
$sum += 44;
$first->wait_for_catchup('calls');
$subscriber->safe_psql('ledger', 'CALL cost_ledger.refresh()');
consumed_is($subscriber, 'ledger', 'subscriber: and with it');
$subscriber->safe_psql('ledger', 'DROP SUBSCRIPTION calls');
$subscriber->stop;

# ---------------------------------------------------------------------------
# The primary is lost with a transaction in doubt; the standby takes over.

$first->safe_psql('ledger', calls(5, 7, 'BEGIN;', "PREPARE TRANSACTION 'in doubt'"));
$first->wait_for_catchup($standby, 'replay', $first->lsn('insert'));
$first->stop('immediate');
$standby->promote;
ledger_is($standby, 'ledger', 'promoted: nothing is lost');
record($standby, 'ledger', 6, 1);
$standby->safe_psql('ledger', 'CALL cost_ledger.refresh()');
consumed_is($standby, 'ledger', 'promoted: refresh() works');
$standby->safe_psql('ledger', "COMMIT PREPARED 'in doubt'");
$calls += 5;
$sum += 35;
ledger_is($standby, 'ledger', 'promoted: what was in doubt is committed');
$standby->safe_psql('ledger', 'CALL cost_ledger.refresh()');
consumed_is($standby, 'ledger', 'promoted: and in the rollups');
$standby->stop;

done_testing();
