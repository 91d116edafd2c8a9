# What the README and the manual promise: every SQL block of README.md is run,
# in order, in one session of a fresh database, and what it prints is what the
# text block after it shows.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'\ndatestyle = 'ISO'");
$node->start;

my $readme = slurp_file('README.md');
my @blocks;
while ($readme =~ /^```sql\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/msg)
{
    push @blocks, { sql => $1, expected => $2, line => 1 + (substr($readme, 0, $-[0]) =~ tr/\n//) };
}
cmp_ok(scalar(@blocks), '>', 8, 'README.md has SQL blocks');

# One session: later blocks build on earlier ones.
my $script = join '', map { "\\echo ==block $_\n$blocks[$_]{sql}" } 0 .. $#blocks;
my $file = PostgreSQL::Test::Utils::tempdir() . '/readme.sql';
append_to_file($file, $script);
my ($out, $err) = run_command([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $node->connstr('postgres') ]);
is($err, '', 'no block raises an error or a notice');

my @results = split /^==block \d+\n/m, "$out\n", -1;
shift @results;
for my $i (0 .. $#blocks)
{
    my $where = "README.md:$blocks[$i]{line}";
    ok(defined $results[$i], "$where runs") or next;
    is($results[$i], $blocks[$i]{expected}, "$where prints what it shows") if defined $blocks[$i]{expected};
}

done_testing();
