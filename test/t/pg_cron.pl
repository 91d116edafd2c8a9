# schedule_jobs() does not say that pg_cron runs the jobs where every run fails: as
# pg_cron comes it connects to localhost, which by default takes a password.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $library = `pg_config --pkglibdir`;
chomp $library;
plan skip_all => 'pg_cron is not installed' unless -e "$library/pg_cron.so";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_cron'\ncron.database_name = 'postgres'\n");

# What pg_hba.conf says of connections from localhost; this test's own are local.
sub let_in_by
{
    my ($method) = @_;
    my $file = $node->data_dir . '/pg_hba.conf';
    unlink $file;
    append_to_file($file, "local all all trust\nhost all all 127.0.0.1/32 $method\nhost all all ::1/128 $method\n");
    $node->reload if -e $node->data_dir . '/postmaster.pid';
}

# What schedule_jobs() says where the last run ended so, or there was none.  Runs
# that pg_cron has made meanwhile are forgotten.
sub schedule
{
    my ($status, $message) = @_;
    my ($stdout, $stderr);
    my $run = 'DELETE FROM cron.job_run_details;';
    $run .= "INSERT INTO cron.job_run_details (jobid, database, username, command, status, return_message, start_time)
        SELECT jobid, database, username, command, '$status', '$message', now() FROM cron.job;" if $status;
    $node->psql('postgres', "$run SELECT cost_ledger.schedule_jobs()", stdout => \$stdout, stderr => \$stderr);
    return $stderr;
}

let_in_by('trust');
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION pg_cron;
    CREATE EXTENSION cost_ledger;
    SELECT cost_ledger.create_ledger();
});
my $owner = $node->safe_psql('postgres', 'SELECT current_user');

# A server of its own socket only, as this one is at first.
like(schedule(), qr/WARNING:  runs of the jobs will fail: pg_cron connects to localhost, and the server listens on no address/, 'nobody can connect');
$node->append_conf('postgresql.conf', "listen_addresses = 'localhost'\n");
let_in_by('scram-sha-256');
$node->restart;

my $said = schedule();
like($said, qr/NOTICE:  pg_cron is to run the jobs every .* as role "\Q$owner\E"/, 'it is scheduled');
like($said, qr/WARNING:  runs of the jobs will fail: pg_cron connects to localhost as role "\Q$owner\E", which pg_hba.conf lets in by scram-sha-256/,
    'and the runs will fail');
like($said, qr/HINT:  ALTER SYSTEM SET cron.use_background_workers = on; and restart the server/, 'with the setting to change');

let_in_by('trust');
unlike(schedule(), qr/WARNING/, 'not where the role gets in');

# What has been is surer.
like(schedule('failed', 'connection failed'), qr/WARNING:  the last run of the jobs by pg_cron failed: connection failed/, 'the last run failed');
let_in_by('scram-sha-256');
like(schedule('failed', 'connection failed'), qr/failed: connection failed.*Now: pg_cron connects.*use_background_workers/s, 'and the next will');
unlike(schedule('succeeded', 'CALL'), qr/WARNING/, 'the last run went well: there is a .pgpass');

# An owner who may not see the settings of pg_cron is told nothing that is not known.
$node->safe_psql('postgres', q{
    CREATE ROLE ledger_owner LOGIN;
    GRANT USAGE ON SCHEMA cron TO ledger_owner;
    SELECT cost_ledger.unschedule_jobs();
    SELECT cost_ledger.drop_ledger(i_mean_it => true);
    SELECT cost_ledger.create_ledger(owner => 'ledger_owner');
});
my ($stdout, $stderr);
$node->psql('postgres', 'SET ROLE ledger_owner; SELECT cost_ledger.schedule_jobs()', stdout => \$stdout, stderr => \$stderr);
like($stderr, qr/^[^\n]*NOTICE:  pg_cron is to run the jobs[^\n]*\n[^\n]*HINT:  Whether it does: SELECT is_stale/, 'where to look');
unlike($stderr, qr/WARNING|ERROR/, 'and no guess');
like(schedule(), qr/as role "ledger_owner".*runs of the jobs will fail: pg_cron connects to localhost as role "ledger_owner"/s, 'a superuser is told');

# With the setting of the hint they run.
$node->safe_psql('postgres', 'ALTER SYSTEM SET cron.use_background_workers = on');
$node->restart;
unlike(schedule(), qr/WARNING/, 'nothing is in the way');
ok($node->poll_query_until('postgres', q{SELECT NOT is_stale AND NOT is_failing FROM cost_ledger.job_status WHERE name = 'run_jobs'}), 'and pg_cron runs the jobs');
is($node->safe_psql('postgres', q{SELECT DISTINCT username FROM cron.job_run_details WHERE status = 'succeeded'}), 'ledger_owner', 'as the owner of the ledger');
$node->stop;

done_testing();
