# What was said is said once: a listener that was away finds each alert in the
# table, and neither a restart, a crash nor a restore into another cluster makes
# one anew.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION cost_ledger;
    SELECT cost_ledger.create_ledger();
    SELECT cost_ledger.set_price('openai', 'm', '{"input_tokens": 1}', '2020-01-01');
    -- depends on the day of the month
    UPDATE cost_ledger.alert_rule SET is_active = false WHERE kind = 'budget_forecast';
    INSERT INTO cost_ledger.alert_rule (name, kind, severity, threshold) VALUES ('fast', 'spend_rate', 'page', 50);
    SELECT cost_ledger.set_budget('team', '{"team": "a"}', 'total', 10);
    SELECT cost_ledger.set_budget('users', '{}', 'total', 5, '{1.0}', each_of => 'user_id');
});

# Nobody listens.  Team a crosses 70, 90 and 100 percent one after the other, each
# of three users 5 once, and the rate is too high for all and for the team.
for my $spend (7, 2, 1, 3)
{
    $node->safe_psql('postgres', "
        INSERT INTO cost_ledger.call (provider, model, input_tokens, team, user_id)
            SELECT 'openai', 'm', $spend * 1000000 / 2, 'a', 'u' || i FROM generate_series(1, 2) i;
        INSERT INTO cost_ledger.call (provider, model, input_tokens, user_id) VALUES ('openai', 'm', $spend * 1000000, 'u3')");
    $node->safe_psql('postgres', 'CALL cost_ledger.run_jobs()') for 1 .. 2;
}
my $alerts = q{SELECT string_agg(concat_ws(' ', coalesce(b.name, r.name), a.entity || coalesce(a.subject, ''), a.threshold, a.occurrence), ', ' ORDER BY a.alert_id)
    FROM cost_ledger.alert a LEFT JOIN cost_ledger.budget b USING (budget_id) LEFT JOIN cost_ledger.alert_rule r USING (rule_id)};
my $said = $node->safe_psql('postgres', $alerts);
is(join(', ', sort split /, /, $said),
    'fast all 50 1, fast team a 50 1, team  0.7 1, team  0.9 1, team  1 1, users u1 1 1, users u2 1 1, users u3 1 1',
    'each threshold, entity and subject is an alert, once');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT alert_id), min(length(message)) > 100 FROM cost_ledger.unacknowledged_alert'),
    '8|8|t', 'and waits, with its message, for a listener that was away');

for my $mode ('fast', 'immediate')
{
    $node->stop($mode);
    $node->start;
    $node->safe_psql('postgres', 'CALL cost_ledger.run_jobs()');
    is($node->safe_psql('postgres', $alerts), $said, "nothing is said again after a stop: $mode");
}

# Elsewhere, with a table of calls as it was.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'dump');
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->start;
$other->safe_psql('postgres', 'CREATE DATABASE restored');
$other->command_ok([ 'pg_restore', '-d', $other->connstr('restored'), $dump ], 'restore');
is($other->safe_psql('restored', $alerts), $said, 'what was said is there');
# Whoever runs the jobs before post_restore() hears that, and only that.
$other->safe_psql('restored', 'CALL cost_ledger.run_jobs()');
is($other->safe_psql('restored', $alerts), "$said, restored and not at home ledger 1 1", 'that it is not at home is news');
$other->safe_psql('restored', 'SELECT cost_ledger.post_restore()');
$other->safe_psql('restored', 'CALL cost_ledger.run_jobs()') for 1 .. 2;
is($other->safe_psql('restored', $alerts), "$said, restored and not at home ledger 1 1", 'and nothing else');
is($other->safe_psql('restored', q{SELECT count(*) FROM cost_ledger.alert a JOIN cost_ledger.alert_rule r USING (rule_id) WHERE r.kind = 'needs_post_restore' AND a.resolved_at IS NOT NULL}),
    1, 'which is over once it is');
is($other->safe_psql('restored', 'SELECT count(*) FROM cost_ledger.check_balances()'), 0, 'balances are the ledger');

done_testing();
