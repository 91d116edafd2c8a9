# No bytes hurt a live server: what COPY BINARY brings is a summary that its
# validator stands for, or an error.  And an implementation written a second
# time, in Python's exact decimals, comes to the same bytes.
#
# Some seconds long; SUMMARY_FUZZ_SECONDS makes both parts that long, and
# SUMMARY_FUZZ_SEED repeats a run ("make fuzz-summary" uses them).

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{SUMMARY_FUZZ_SECONDS} || 3;
my $seed = $ENV{SUMMARY_FUZZ_SEED} || int(rand(1_000_000_000));
srand($seed);
note("SUMMARY_FUZZ_SEED=$seed");

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# a mutant that makes a query hang must fail, not the test's patience
$node->append_conf('postgresql.conf', "statement_timeout = '10s'\nfsync = off\nlog_min_messages = log\n");
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION cost_ledger;
    CREATE UNLOGGED TABLE mutant (s cost_ledger.summary);

    -- everything there is to ask, of a summary that was let in
    CREATE FUNCTION sound(s cost_ledger.summary, bytes bytea) RETURNS text
        LANGUAGE plpgsql AS $$
    DECLARE
        fractions double precision[] := ARRAY[0, 0.3, 0.95, 1];
        q numeric[] := cost_ledger.quantiles(s, fractions);
    BEGIN
        IF s::bytea <> bytes THEN
            RETURN 'other bytes';
        ELSIF s::text::cost_ledger.summary::bytea <> bytes THEN
            RETURN 'other bytes by way of text';
        ELSIF q[1] <> cost_ledger.minimum(s) OR q[4] <> cost_ledger.maximum(s)
            OR NOT (q[1] <= q[2] AND q[2] <= q[3] AND q[3] <= q[4]) THEN
            RETURN 'quantiles do not ascend';
        ELSIF cost_ledger.num_values(s) < 1
            OR cost_ledger.num_values(s) <> (SELECT sum(h.num_values) FROM cost_ledger.histogram(s, 2) AS h) THEN
            RETURN 'count';
        ELSIF cost_ledger.rank(s, cost_ledger.maximum(s)) <> 1 THEN
            RETURN 'rank';
        END IF;
        BEGIN
            IF cost_ledger.num_values(cost_ledger.merge(s, s)) <> 2 * cost_ledger.num_values(s) THEN
                RETURN 'merge';
            END IF;
            PERFORM cost_ledger.mean(s), cost_ledger.coarsen(s, 0.02);
        EXCEPTION
            -- more than 2^63 - 1 values; a total beyond numeric; no such accuracy
            WHEN program_limit_exceeded OR numeric_value_out_of_range OR invalid_parameter_value THEN NULL;
        END;
        RETURN 'sound';
    END
    $$;
});

# What is mutated: summaries of every form.
my @seeds = split /\n/, $node->safe_psql('postgres', q{
    SET search_path = cost_ledger, public, pg_catalog;
    SELECT encode(s::bytea, 'hex')
    FROM (SELECT summarize(x) FROM (VALUES (0.0129), (5), (-1.5), (5)) AS v (x)
          UNION ALL SELECT summarize(0)
          UNION ALL SELECT summarize(x) FROM (VALUES (1e30), (-1e-20), (0)) AS v (x)
          UNION ALL SELECT summarize(x, 0.001) FROM generate_series(-20, 0) AS x
          UNION ALL SELECT summarize(x) FROM generate_series(1, 100) AS x
          UNION ALL SELECT summarize(x / 8.0, 0.02) FROM generate_series(-40, 40) AS x
          UNION ALL SELECT summarize(x * 1e21 + 1e-30) FROM generate_series(1, 40) AS x
          UNION ALL SELECT summarize(exp(x / 300.0)::numeric) FROM generate_series(-3000, 3000) AS x
          UNION ALL SELECT merge(s) FROM (SELECT merge(summarize(x % 40), NULL) AS s FROM generate_series(1, 9000) AS x, generate_series(1, 3)) AS v
          UNION ALL SELECT '{"version": 1, "accuracy": 0.01, "count": 9223372036854775807, "values": [[0.5, 9223372036854775806], [2, 1]]}'::summary
         ) AS v (s)
});
$_ = pack('H*', $_) for @seeds;
is(scalar(@seeds), 10, 'there is something to mutate');

sub mutate
{
    my $bytes = $seeds[ int rand @seeds ];

    for (1 .. (1, 1, 1, 2, 3)[ int rand 5 ])
    {
        my $at = int rand(length($bytes) || 1);
        my $kind = rand;

        if ($kind < 0.6 && length $bytes)
        {
            my $old = ord substr($bytes, $at, 1);
            my $new = (int(rand 256), $old + 1, $old + 255, $old ^ 1 << int(rand 8))[ int rand 4 ] % 256;
            substr($bytes, $at, 1) = chr $new;
        }
        elsif ($kind < 0.75) { substr($bytes, $at, 0) = chr int rand 256; }
        elsif ($kind < 0.9) { substr($bytes, $at, 1) = ''; }
        else { $bytes = substr($bytes, 0, $at); }
    }
    return $bytes;
}

# One session copies many mutants in, each from a file of its own.
my $dir = PostgreSQL::Test::Utils::tempdir();
my $per_session = 400;
my (%answers, @wrong);
my ($copied, $start) = (0, time);
do
{
    my $script = "\\set VERBOSITY sqlstate\n";
    my @mutants = map { mutate() } 1 .. $per_session;

    for my $i (0 .. $#mutants)
    {
        open my $file, '>:raw', "$dir/$i" or die "$dir/$i: $!";
        print $file pack('a11NNnN', "PGCOPY\n\xff\r\n\0", 0, 0, 1, length $mutants[$i]), $mutants[$i], pack('n', 0xffff);
        close $file;
        $script .= sprintf("\\echo -- %d\nTRUNCATE mutant;\nCOPY mutant FROM '%s' (FORMAT binary);\nSELECT sound(s, '\\x%s') FROM mutant;\n",
            $i, "$dir/$i", unpack('H*', $mutants[$i]));
    }
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$script, '>', \$out, '2>&1');
    for my $answer (split /^-- /m, $out)
    {
        next if $answer eq '';
        my ($i, @lines) = split /\n/, $answer;
        my $text = @lines == 1 ? $lines[0] : join(' / ', 'several answers', @lines);

        $text =~ s/^psql:.*?: //;
        $answers{$text}++;
        $copied++;
        push @wrong, "$text: " . unpack('H*', $mutants[$i]) unless $text eq 'sound' || $text =~ /^ERROR:  22P03$/;
    }
} while (time - $start < $seconds && !@wrong);

note(sprintf('%d mutants in %.0f s: %s', $copied, time - $start, join ', ', map { "$answers{$_} $_" } sort keys %answers));
is(join("\n", @wrong), '', 'every mutant was refused as bad binary input, or was sound');
cmp_ok($copied, '>=', $per_session, 'every mutant had an answer');
cmp_ok($answers{sound} || 0, '>', 0, 'some were let in');
is($node->safe_psql('postgres', "SELECT pg_postmaster_start_time() < now() AND NOT pg_is_in_recovery()"), 't', 'the server lives');
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'no backend crashed');

SKIP:
{
    my $script = 'test/fuzz/differential.py';

    skip 'python3 is not installed', 1 if system('python3 -c "" 2>/dev/null') != 0;
    local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres');
    my ($out, $err) = ('', '');
    my $ok = IPC::Run::run([ 'python3', $script, $seconds, $seed ], '>', \$out, '2>', \$err);

    note($out);
    ok($ok, 'an independent implementation comes to the same bytes') or diag($out, $err);
}

done_testing();
