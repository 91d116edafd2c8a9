# Dump and restore keep the ledger as it is: every row, cost, id, index and
# policy, users' own columns too; no trigger fires on the way, so nothing is
# priced or stamped again; and the restored ledger works on.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE before');
$node->safe_psql('postgres', 'CREATE ROLE tenant; CREATE ROLE sender');

$node->safe_psql('before', q{
    CREATE EXTENSION cost_ledger;
    SELECT cost_ledger.create_ledger(time_zone => 'Asia/Kolkata', currency => 'EUR');
    SELECT cost_ledger.create_partitions('2026-01-01', '2026-06-30');
    SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 2, "output_tokens": 8}', '2026-01-01');
    SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 1, "output_tokens": 4}', '2026-03-01');
    SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 3, "output_tokens": 4}', '2026-03-01', replace => true);

    -- what users add to it
    ALTER TABLE cost_ledger.call ADD COLUMN cost_center text;
    CREATE INDEX call_by_team ON cost_ledger.call (team, called_at);
    ALTER TABLE cost_ledger.call ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own_team ON cost_ledger.call FOR SELECT TO tenant USING (team = current_user);
    GRANT USAGE ON SCHEMA cost_ledger TO tenant;
    GRANT SELECT ON cost_ledger.call TO tenant;
    CREATE POLICY all_calls ON cost_ledger.call TO sender USING (true);
    SELECT cost_ledger.grant_gateway('sender', key_space => 'sent');
    SELECT cost_ledger.grant_team_reader('tenant', 'tenant');
    SET ROLE sender;
    INSERT INTO cost_ledger.call (provider, model, input_tokens, event_key) VALUES ('openai', 'gpt-x', 1, 'e1');
    RESET ROLE;

    INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens, output_tokens, team, cost_center, tags)
        SELECT timestamptz '2026-01-15' + i * interval '1 hour', CASE WHEN i % 10 = 0 THEN 'e' || i END,
               'openai', CASE WHEN i % 50 = 0 THEN 'unknown' ELSE 'gpt-x' END, i * 100, i, CASE WHEN i % 3 = 0 THEN 'tenant' END, 'cc' || i, '{"a": 1}'
        FROM generate_series(1, 3000) AS i;
    SELECT cost_ledger.correct_call('e10', '{"input_tokens": 1}', 'a test');
    INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2020-01-01', 'openai', 'gpt-x', 7);

    -- a budget, what is held of it and what was spent
    SELECT cost_ledger.set_budget('tenant', '{"team": "tenant"}', 'total', 1000);
    SELECT cost_ledger.set_budget('each user', '{}', 'month', 50, each_of => 'user_id', reason => 'a default');
    SELECT cost_ledger.reserve(k, '{"team": "tenant", "user_id": "u1"}', 3) FROM unnest('{held,settled}'::text[]) AS k;
    INSERT INTO cost_ledger.call (provider, model, input_tokens, team, user_id, hold_id)
        SELECT 'openai', 'gpt-x', 500000, 'tenant', 'u1', hold_id FROM cost_ledger_internal.hold WHERE hold_key = 'settled';
    SELECT cost_ledger.pause('{"agent": "crawler"}', 'a test');
});

# A price set later must not reach the calls when they are restored.
$node->safe_psql('before', q{
    SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 77, "output_tokens": 77}', '2026-02-01');
});

# Everything there is to compare, as one text a database.
sub fingerprint
{
    my ($on, $database) = @_;
    my %query = (
        calls => 'SELECT md5(string_agg(c::text, E\'\n\' ORDER BY call_id)), count(*), sum(cost) FROM cost_ledger.call c',
        placement => 'SELECT tableoid::regclass, count(*) FROM cost_ledger.call GROUP BY 1',
        prices => 'SELECT md5(string_agg(p::text, E\'\n\' ORDER BY price_id)), count(*) FROM cost_ledger_internal.price p',
        lines => 'SELECT md5(string_agg(l::text, E\'\n\' ORDER BY price_id, meter)), count(*) FROM cost_ledger_internal.price_line l',
        keys => 'SELECT md5(string_agg(k::text, E\'\n\' ORDER BY event_key)), count(*) FROM cost_ledger_internal.event_key k',
        settings => 'SELECT * FROM cost_ledger.ledger',
        budgets => 'SELECT b::text FROM cost_ledger.budget b UNION ALL SELECT v::text FROM cost_ledger.budget_version v',
        balances => 'SELECT s::text FROM cost_ledger_internal.budget_balance s UNION ALL SELECT p::text FROM cost_ledger.pause p',
        holds => 'SELECT h::text FROM cost_ledger_internal.hold h UNION ALL SELECT l::text FROM cost_ledger_internal.hold_line l',
        columns => q{SELECT attrelid::regclass, attname, atttypid::regtype, attnotnull, attidentity, col_description(attrelid, attnum)
                     FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
                     WHERE relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND relkind IN ('r', 'p', 'v') AND attnum > 0 AND NOT attisdropped},
        indexes => q{SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indrelid
                     WHERE relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace)},
        # From 18 on NOT NULL has a name, which a dump does not always keep.
        constraints => q{SELECT conrelid::regclass, CASE WHEN contype <> 'n' THEN conname END, pg_get_constraintdef(oid) FROM pg_constraint
                         WHERE connamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace)},
        triggers => q{SELECT tgrelid::regclass, tgname, tgenabled, tgfoid::regproc FROM pg_trigger
                      WHERE NOT tgisinternal},
        policies => 'SELECT polrelid::regclass, polname, pg_get_expr(polqual, polrelid) FROM pg_policy',
        privileges => q{SELECT oid::regclass, relacl, relrowsecurity FROM pg_class
                        WHERE relnamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace) AND relacl IS NOT NULL},
        columns_granted => q{SELECT attrelid::regclass, attname, attacl FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid = 'cost_ledger.call'::regclass},
        functions_granted => q{SELECT oid::regprocedure, a FROM pg_proc, unnest(proacl) a
                               WHERE pronamespace IN ('cost_ledger'::regnamespace, 'cost_ledger_internal'::regnamespace)},
        schemas_granted => q{SELECT nspname, a FROM pg_namespace, unnest(nspacl) a WHERE nspname LIKE 'cost_ledger%'},
        grants => 'SELECT g::text FROM cost_ledger.grants g',
        members => q{SELECT count(*) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                     WHERE e.extname = 'cost_ledger' AND d.deptype = 'e'},
    );
    return join "\n", map { ("$_:", sort split /\n/, $on->safe_psql($database, $query{$_})) } sort keys %query;
}

my $before = fingerprint($node, 'before');
like($before, qr/EUR/, 'the fingerprint has content');

# The three ways people dump, each into a database of another cluster, whose
# transaction ids are lower.
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->start;
$other->safe_psql('postgres', 'CREATE ROLE tenant; CREATE ROLE sender');

my $dir = PostgreSQL::Test::Utils::tempdir();
for my $way (
    [ 'plain', [ '-Fp' ] ],
    [ 'custom', [ '-Fc' ] ],
    [ 'inserts', [ '-Fp', '--inserts' ] ])
{
    my ($name, $options) = @$way;
    my $file = "$dir/$name";
    $node->command_ok([ 'pg_dump', @$options, '-f', $file, $node->connstr('before') ], "dump $name");
    $other->safe_psql('postgres', "CREATE DATABASE after_$name");
    if ($name eq 'custom')
    {
        $other->command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', '-d', $other->connstr("after_$name"), $file ], "restore $name");
    }
    else
    {
        $other->command_ok([ 'psql', '-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', $file, $other->connstr("after_$name") ], "restore $name");
    }
    is(fingerprint($other, "after_$name"), $before, "$name: the same ledger");

    # it goes on where it stopped
    my $next = $other->safe_psql("after_$name", q{
        INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2026-04-01', 'openai', 'gpt-x', 1000000)
        RETURNING call_id > (SELECT max(call_id) FROM cost_ledger.call), cost, pricing});
    is($next, 't|3|priced', "$name: the next call has the next id and its price");
    is($other->safe_psql("after_$name", q{
        INSERT INTO cost_ledger.call (called_at, event_key, provider, model, input_tokens, output_tokens, team, cost_center, tags)
            SELECT now(), 'e30', 'openai', 'gpt-x', 3000, 30, 'tenant', 'cc30', '{"a": 1}' RETURNING 1}), '',
        "$name: a replay of an event from before is still known");
    # What is refused leaves nothing but the server's log.
    my $logged = -s $other->logfile;
    my ($status, $said, $conflict) = $other->psql("after_$name", q{
        SET ROLE sender;
        INSERT INTO cost_ledger.call (event_key, provider, model, input_tokens, tags) VALUES ('e1', 'openai', 'gpt-x', 2, '{"try": "second"}')});
    like($conflict, qr/belongs to call 1 of .*\. input_tokens was 1 and is 2; tags was left out and is \{"try": "second"\}\.\nHINT/m,
        "$name: a sender is told what its payload has otherwise");
    like(slurp_file($other->logfile, $logged), qr/key space "sent"\. input_tokens was 1 and is 2.* Refused: \{.*"input_tokens": 2/,
        "$name: the refused payload is in the log");
    # 3 held, and 1.5 more asked for and spent
    is($other->safe_psql("after_$name", q{
        SELECT decision, held FROM cost_ledger.reserve('after', '{"user_id": "u1"}', 1.5);
        INSERT INTO cost_ledger.call (provider, model, input_tokens, user_id, hold_id)
            SELECT 'openai', 'gpt-x', 500000, 'u1', hold_id FROM cost_ledger_internal.hold WHERE hold_key = 'after';
        SELECT spent, held FROM cost_ledger.budget_status WHERE entity = 'u1'}), "allow|4.5\n3.0|3.0",
        "$name: budgets decide and settle on");
    my ($rc, $out, $err) = $other->psql("after_$name", 'DELETE FROM cost_ledger.call');
    like($err, qr/append-only/, "$name: still append-only");
    is($other->safe_psql("after_$name", q{
        SET ROLE sender;
        INSERT INTO cost_ledger.call (provider, model, input_tokens, event_key) VALUES ('openai', 'gpt-x', 1, 'e1') RETURNING 1;
        INSERT INTO cost_ledger.call (provider, model, input_tokens, event_key) VALUES ('openai', 'gpt-x', 1, 'e2') RETURNING pricing}), 'priced',
        "$name: a sender may do what it might, and its keys are in its space");
    is($other->safe_psql("after_$name", 'SET ROLE tenant; SELECT bool_and(team = current_user) FROM cost_ledger.call'), 't',
        "$name: the policy holds");
    ok($other->safe_psql("after_$name", q{SELECT cost_ledger.set_price('openai', 'gpt-x', '{"input_tokens": 5}', '2027-01-01')}) > 3,
        "$name: the next price has the next id");
}

# Over a ledger that is there, only by who says so; else nothing is taken away,
# and nothing is added, though pg_restore tries it all.  (Constraints of
# partitions, which --clean cannot drop before their table, are always errors.)
{
    my @restore = ('pg_restore', '--clean', '--if-exists', '-j', '4', '-d', $other->connstr('after_custom'), "$dir/custom");
    my $content = q{SELECT (SELECT md5(string_agg(c::text, E'\n' ORDER BY call_id)) FROM cost_ledger.call c), (SELECT count(*) FROM cost_ledger_internal.price_line),
                           (SELECT count(*) FROM cost_ledger.ledger_problem), (SELECT count(*) FROM cost_ledger_internal.event_key), (SELECT count(*) FROM cost_ledger.alert_rule)};
    my $there = $other->safe_psql('after_custom', $content);
    $other->command_fails_like([ $restore[0], '--exit-on-error', @restore[1 .. $#restore] ], qr/belongs to the ledger of this database/, 'pg_restore --clean is refused');
    is($other->safe_psql('after_custom', $content), $there, 'and takes nothing along');
    $other->command_fails(\@restore, 'so it is where it goes on after errors');
    is($other->safe_psql('after_custom', $content), $there, 'and nothing comes twice');
    local $ENV{PGOPTIONS} = '-c cost_ledger.allow_drop=on';
    $other->command_fails_like(\@restore, qr/^(?!.*belongs to the ledger).*errors ignored on restore/s, 'pg_restore --clean with cost_ledger.allow_drop');
    is(fingerprint($other, 'after_custom'), $before, 'the same ledger again');
}

# The data alone, by the steps of docs/retention.md: the calls as they are, and
# not priced again.
sub calls_of { return $_[0]->safe_psql($_[1], 'SELECT md5(string_agg(c::text, E\'\n\' ORDER BY call_id)), count(*), sum(cost) FROM cost_ledger.call c') }
$other->safe_psql('postgres', 'CREATE DATABASE fresh');
$other->safe_psql('fresh', q{
    CREATE EXTENSION cost_ledger;
    SELECT cost_ledger.create_ledger(time_zone => 'Asia/Kolkata', currency => 'EUR');
    SELECT cost_ledger.create_partitions('2026-01-01', '2026-06-30');
    ALTER TABLE cost_ledger.call ADD COLUMN cost_center text;
});
$node->command_ok([ 'pg_dump', '--data-only', '-f', "$dir/data", $node->connstr('before') ], 'dump the data alone');
my ($rc, undef, $err) = $other->psql('fresh', "\\i $dir/data", on_error_stop => 0);
like($err, qr/column "call_id" is set by the ledger\nHINT: .*a dump of calls is restored with its tables/, 'the data alone: calls are refused, with a hint');
$other->safe_psql('postgres', 'DROP DATABASE fresh');
$other->safe_psql('postgres', 'CREATE DATABASE fresh');
$other->safe_psql('fresh', q{
    CREATE EXTENSION cost_ledger;
    SELECT cost_ledger.create_ledger(time_zone => 'Asia/Kolkata', currency => 'EUR');
    SELECT cost_ledger.create_partitions('2026-01-01', '2026-06-30');
    ALTER TABLE cost_ledger.call ADD COLUMN cost_center text;
    DELETE FROM cost_ledger.alert_rule;
    DELETE FROM cost_ledger_internal.alert_state;
    DELETE FROM cost_ledger.retention;
    DELETE FROM cost_ledger_internal.job;
    DELETE FROM cost_ledger_internal.lock;
    DELETE FROM cost_ledger_internal.rollup_state;
    DELETE FROM cost_ledger.ledger;
});
$node->command_ok([ 'pg_dump', '--data-only', '--disable-triggers', '-f', "$dir/data", $node->connstr('before') ], 'dump the data alone, to be loaded without triggers');
$other->command_ok([ 'psql', '-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/data", $other->connstr('fresh') ], 'the data alone: loaded');
$other->safe_psql('fresh', 'SELECT hint FROM cost_ledger.ledger_problem WHERE problem = \'trigger\' \\gexec');
is($other->safe_psql('fresh', 'SELECT count(*) FROM cost_ledger.ledger_problem'), '0', 'the data alone: its triggers are as they should be');
$other->safe_psql('fresh', 'SELECT cost_ledger.post_restore()');
is(calls_of($other, 'fresh'), calls_of($node, 'before'), 'the data alone: the same calls');
is($other->safe_psql('fresh', 'SELECT (SELECT count(*) FROM cost_ledger.check_rollups()), unconsumed_rows FROM cost_ledger.rollup_status'), '0|0', 'the data alone: all are in the rollups');
is($other->safe_psql('fresh', q{INSERT INTO cost_ledger.call (called_at, provider, model, input_tokens) VALUES ('2026-04-01', 'openai', 'gpt-x', 1000000)
    RETURNING call_id > (SELECT max(call_id) FROM cost_ledger.call), cost, pricing}), 't|3|priced', 'the data alone: the next call has the next id and its price');

done_testing();
