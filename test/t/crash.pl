# The short form of the crash harness: one fault of each kind, and after each the
# ledger is what was acknowledged and the rollups are the ledger.  make crash is the
# long form; COST_LEDGER_CRASH_SEED repeats a run.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;
use Test::More;

my $harness = dirname(abs_path(__FILE__)) . '/../crash/crash';
my $seed = $ENV{COST_LEDGER_CRASH_SEED} // int(time) % 1000000;
my @kinds = qw(kill_writer kill_refresher kill_background kill_client kill_postmaster kill_all immediate_stop
  fast_stop cancel_refresh terminate_refresh cancel_writers terminate_writer file_limit open_elsewhere);

note "seed $seed";
my $said = `$^X '$harness' --faults=@{[scalar @kinds]} --seed=$seed --pause=0.4 --check-every=7 --kinds=@{[join ',', @kinds]} 2>&1`;
my $status = $?;
note $said;

is($status, 0, "every check of the run with seed $seed holds") or diag $said;
my ($struck) = $said =~ /^faults: \d+ \((.*)\)/m;
is($struck, join(', ', map { "$_ 1" } sort @kinds), 'each kind of fault has struck');
like($said, qr/^lost: 0, doubled: 0, not acknowledged: 0$/m, 'every acknowledged call is in the ledger once, and no other');
like($said, qr/^check_rollups\(\): 0 differences; rebuild_rollups\(\): 0 rows changed$/m, 'the rollups are the ledger');
my ($calls) = $said =~ /^acknowledged calls: (\d+)/m;
cmp_ok($calls // 0, '>', 1000, 'there was something to lose');

done_testing();
