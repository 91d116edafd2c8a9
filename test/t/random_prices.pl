# Random rate cards, multipliers and exchange rates, and random calls, priced by
# the ledger and by this program, which was written from docs/pricing.md alone
# and calculates in fractions.  Cost and pricing of every call, what of it is
# reasoning, and what the prompt cache saved must be the same, to the last decimal, and what else prices a call must agree with its row.
#
#   COST_LEDGER_RANDOM_CALLS=100000 COST_LEDGER_RANDOM_SEED=7   more, or again

use strict;
use warnings;
use List::Util qw(shuffle sum0);
use Math::BigRat;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $calls = $ENV{COST_LEDGER_RANDOM_CALLS} || 1000;
my $seed = $ENV{COST_LEDGER_RANDOM_SEED} || int(time) % 1000000;
my $models = 20 + int($calls / 2000);
srand($seed);
note("seed $seed: $calls calls of $models models");

my $node = PostgreSQL::Test::Cluster->new('random');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'\nfsync = off\nclient_min_messages = warning");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION cost_ledger;
	SELECT cost_ledger.create_ledger();
	SELECT count(*) FROM cost_ledger.create_partitions('2026-01-01', '2026-12-31')});

use constant YEAR => 1767225600;    # 2026-01-01 00:00 UTC

sub chance { return rand() < $_[0]; }
sub pick { return $_[ int(rand(@_)) ]; }
sub moment { return YEAR + 3600 * int(rand(8700)); }
sub instant { my @t = gmtime($_[0]); return sprintf('%04d-%02d-%02d %02d:%02d:%02d+00', $t[5] + 1900, $t[4] + 1, @t[ 3, 2, 1, 0 ]); }
sub decimal { my ($digits, $scale) = @_; my $n = sprintf('%0*d', $scale + 1, int(rand(10**$digits))); return $scale ? substr($n, 0, -$scale) . '.' . substr($n, -$scale) : $n; }
sub quoted { return defined $_[0] ? "'$_[0]'" : 'NULL'; }

# What a meter is a part of, the nearest first.
my %stand_in = (
	(map { $_ => ['input_tokens'] } qw(cache_read_tokens cache_write_tokens cache_write_1h_tokens input_audio_tokens input_image_tokens input_video_tokens)),
	(map { $_ => ['output_tokens'] } qw(reasoning_tokens output_audio_tokens output_image_tokens output_video_tokens)),
	(map { ("cache_read_${_}_tokens" => [ 'cache_read_tokens', "input_${_}_tokens", 'input_tokens' ]) } qw(audio image video)),
	cache_write_audio_tokens => [ 'cache_write_tokens', 'input_audio_tokens', 'input_tokens' ]);
my @columns = qw(input_tokens cache_read_tokens cache_write_tokens cache_write_1h_tokens output_tokens reasoning_tokens);
my @modal = grep { my $m = $_; !grep { $_ eq $m } @columns } sort keys %stand_in;
my @other = qw(pages web_search_requests);

#
# The price list.
#
sub random_line
{
	my ($meter, $is_free) = @_;
	my $tokens = $meter =~ /_tokens$/;
	my %line = (meter => $meter, price => chance($is_free) ? '0' : decimal(7, pick(2, 4, 6, 9)), per => pick($tokens ? (1000000, 1000000, 1000) : (1, 1000)), over => 0, inclusive => 0, graduated => 0);
	if (chance(0.25))
	{
		$line{over} = $tokens ? pick(1000, 20000, 100000) : pick(1, 3, 10);
		$line{graduated} = 1 if chance(0.4);
		$line{inclusive} = 1 if !$line{graduated} && chance(0.4);
	}
	if (chance(0.15))
	{
		$line{zone} = pick('UTC', 'Etc/GMT+5', 'Etc/GMT-9');
		@line{ 'from', 'to' } = map { sprintf('%02d:%02d', $_ / 60, $_ % 60) } (60 * int(rand(24)), 30 + 60 * int(rand(24))) unless chance(0.2);
		$line{days} = [ sort { $a <=> $b } (shuffle(1 .. 7))[ 0 .. int(rand(6)) ] ] if !$line{from} || chance(0.3);
	}
	return \%line;
}

sub rate_json
{
	my ($line) = @_;
	my @parts = ("\"price\": $line->{price}", "\"per\": $line->{per}");
	push @parts, "\"over\": $line->{over}" if $line->{over};
	push @parts, "\"$_\": true" for grep { $line->{$_} } qw(inclusive graduated);
	push @parts, "\"$_\": \"$line->{$_}\"" for grep { $line->{$_} } qw(from to zone);
	push @parts, '"days": [' . join(', ', @{ $line->{days} }) . ']' if $line->{days};
	return '{' . join(', ', @parts) . '}';
}

my (@cards, @multipliers, %exchange, @statements);
for my $model (map { "m$_" } 1 .. $models)
{
	my $is_free = $model =~ /^m[12]$/ ? 1 : 0.05;
	my @places;
	for my $customer ('', 'acme') { for my $class ('standard', 'batch', 'flex') { for my $region ('', 'eu') { push @places, [ $customer, $class, $region ]; } } }
	for my $place ($places[0], grep { chance(0.3) } @places[ 1 .. $#places ])
	{
		my %card = (model => $model);
		@card{ 'customer', 'class', 'region' } = @$place;
		my %starts = map { moment() => 1 } 1 .. pick(1, 1, 2, 3);
		$starts{ YEAR() } = 1 if chance(0.8);
		for my $start (sort { $a <=> $b } keys %starts)
		{
			my %version = (from => $start, currency => chance(0.7) ? 'USD' : chance(0.8) ? 'EUR' : 'GBP');
			$version{to} = $start + 86400 * (1 + int(rand(200))) if chance(0.1);
			my @meters = grep { chance(/^(input|output)_tokens$/ ? 0.8 : 0.4) } @columns, @other, 'requests';
			push @meters, grep { chance(0.2) } @modal;
			@meters = ('input_tokens') unless @meters;
			for my $meter (sort @meters)
			{
				my %known;
				for my $line (map { random_line($meter, $is_free) } 1 .. pick(1, 1, 1, 2, 3))
				{
					# Of two for the same calls one would be refused.
					my $condition = join('|', $line->{over}, map { defined $_ ? ref $_ ? "@$_" : $_ : '' } @$line{qw(from to days zone)});
					push @{ $version{lines} }, $line unless $known{$condition}++;
				}
			}
			my %rates;
			push @{ $rates{ $_->{meter} } }, rate_json($_) for @{ $version{lines} };
			push @statements, sprintf(q{SELECT cost_ledger.set_price('p', '%s', '{%s}', '%s', %s, '%s', %s, '%s', customer => %s);},
				$model, join(', ', map { "\"$_\": [" . join(', ', @{ $rates{$_} }) . ']' } sort keys %rates), instant($start), quoted($version{to} && instant($version{to})),
				$card{class}, quoted($card{region} || undef), $version{currency}, quoted($card{customer} || undef));
			$card{versions}[-1]{to} = $start if $card{versions} && (!$card{versions}[-1]{to} || $card{versions}[-1]{to} > $start);
			push @{ $card{versions} }, \%version;
		}
		push @cards, \%card;
	}
}
my %known_multiplier;
for (1 .. 10 + $models)
{
	my %m = (model => chance(0.8) ? 'm' . (1 + int(rand($models))) : '', region => chance(0.4) ? 'eu' : '', class => chance(0.4) ? pick('batch', 'flex') : '', customer => chance(0.4) ? 'acme' : '',
		name => pick('a', 'b', 'c'), from => moment(), factor => pick('0.5', '1.1', '0.93', '1', '1.0375'), tokens_only => chance(0.7));
	next if $known_multiplier{ join('|', @m{qw(model region class customer name from)}) }++;
	push @multipliers, \%m;
	push @statements, sprintf(q{SELECT cost_ledger.set_multiplier('p', '%s', %s, '%s', '%s', '%s', '%s', '%s', %s);}, @m{qw(name factor)}, instant($m{from}), @m{qw(model region class customer)}, $m{tokens_only} ? 'true' : 'false');
}
for my $start (YEAR + 86400 * 100, YEAR + 86400 * 200)
{
	$exchange{$start} = '1.' . sprintf('%06d', int(rand(1000000)));
	push @statements, sprintf(q{INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('EUR', '%s', %s);}, instant($start), $exchange{$start});
}

my $script = PostgreSQL::Test::Utils::tempdir() . '/prices.sql';
append_to_file($script, join("\n", @statements));
$node->command_ok([ 'psql', '-XqAt', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', $script, $node->connstr('postgres') ], scalar(@statements) . ' prices, multipliers and exchange rates are set');

#
# What a call costs by them.
#
sub holds { my ($span, $at) = @_; return $span->{from} <= $at && (!$span->{to} || $at < $span->{to}); }

sub in_window
{
	my ($line, $at) = @_;
	return 1 unless $line->{zone};
	my $local = $at + { 'UTC' => 0, 'Etc/GMT+5' => -5, 'Etc/GMT-9' => 9 }->{ $line->{zone} } * 3600;
	my $day = (int($local / 86400) + 3) % 7 + 1;    # 1970-01-01 was a Thursday
	return 0 if $line->{days} && !grep { $_ == $day } @{ $line->{days} };
	return 1 unless $line->{from};
	my ($from, $to, $now) = ((map { my ($h, $m) = split /:/; $h * 3600 + $m * 60 } @$line{ 'from', 'to' }), $local % 86400);
	return $from < $to ? $now >= $from && $now < $to : $now >= $from || $now < $to;
}

# The cards that count for a call, the most specific first.
sub cards_of
{
	my ($call) = @_;
	my @found;
	for my $card (@{ $call->{cards} })
	{
		next if $card->{customer} ne '' && $card->{customer} ne $call->{customer};
		next if $card->{class} ne 'standard' && $card->{class} ne $call->{class};
		next if $card->{region} ne '' && $card->{region} ne $call->{region};
		my ($version) = grep { holds($_, $call->{at}) } @{ $card->{versions} };
		push @found, { card => $card, version => $version } if $version;
	}
	if ($call->{class} ne 'standard' && !grep({ $_->{card}{class} eq $call->{class} } @found) && !grep({ $_->{class} eq $call->{class} } @{ factors_of($call) }))
	{
		return ();
	}
	my $rank = sub { my $c = $_[0]{card}; return ($c->{customer} eq '' ? 4 : 0) + ($c->{class} ne $call->{class} ? 2 : 0) + ($c->{region} eq '' && $call->{region} ne '' ? 1 : 0); };
	return sort { $rank->($a) <=> $rank->($b) } @found;
}

# Of each name of each key the last that has begun.
sub factors_of
{
	my ($call) = @_;
	return $call->{factors} if $call->{factors};
	my %last;
	for my $m (sort { $a->{from} <=> $b->{from} } grep { $_->{from} <= $call->{at} } @multipliers)
	{
		next if $m->{model} ne '' && $m->{model} ne $call->{model};
		next if grep { $m->{$_} ne '' && $m->{$_} ne $call->{$_} } qw(region class customer);
		$last{ join('|', @$m{qw(model region class customer name)}) } = $m;
	}
	return $call->{factors} = [ values %last ];
}

# The worth of one unit, or undef.
sub worth
{
	my ($call, $found, $line) = @_;
	my $rate = Math::BigRat->new(1);
	if ($found->{version}{currency} ne 'USD')
	{
		my ($start) = sort { $b <=> $a } grep { $_ <= $call->{at} } keys %exchange;
		return undef if $found->{version}{currency} eq 'GBP' || !defined $start;
		$rate = Math::BigRat->new($exchange{$start});
	}
	for my $m (@{ factors_of($call) })
	{
		next if $m->{tokens_only} && $line->{meter} !~ /_tokens$/;
		next if grep { $m->{$_} ne '' && $found->{card}{$_} eq $m->{$_} } qw(region class customer);
		$rate *= Math::BigRat->new($m->{factor});
	}
	return $rate * Math::BigRat->new($line->{price}) / $line->{per};
}

# Every line that may price a meter, in order: own rates of one card after the
# other, then those of what it is a part of.
sub lines_of
{
	my ($call, $meter) = @_;
	my @lines;
	for my $name ($meter, @{ $stand_in{$meter} || [] })
	{
		for my $found (@{ $call->{found} })
		{
			my $n = 0;
			my @own = map { [ $found, $_, $n++ ] } grep { $_->{meter} eq $name } @{ $found->{version}{lines} };
			push @lines, sort { !$a->[1]{zone} <=> !$b->[1]{zone} || $b->[1]{over} <=> $a->[1]{over} || $a->[2] <=> $b->[2] } @own;
		}
	}
	return @lines;
}

# A quantity of one meter: its cost, how much of it has no rate, and how much of
# the cost is at a rate of the meter's own; whether some rate applied, and one
# that is not 0.
sub price_of
{
	my ($call, $meter, $quantity, $input, $is_fee) = @_;
	my %sum = map { $_ => Math::BigRat->new(0) } qw(cost unpriced own);
	my $left = Math::BigRat->new($quantity);
	my $is_done = 0;
	for my $try (lines_of($call, $meter))
	{
		my ($found, $line) = @$try;
		my $part = $left;
		next unless in_window($line, $call->{at});
		if ($line->{graduated})
		{
			next if $left <= $line->{over};
			($part, $left) = ($left - $line->{over}, Math::BigRat->new($line->{over}));
		}
		elsif ($line->{over})
		{
			next if $line->{inclusive} ? $input < $line->{over} : $input <= $line->{over};
		}
		$is_done = 1 unless $line->{graduated};
		my $worth = worth($call, $found, $line);
		if (defined $worth)
		{
			$sum{cost} += $part * $worth;
			$sum{own} += $part * $worth if $line->{meter} eq $meter;
			$sum{priced} = 1;
			$sum{costs} = 1 if $worth != 0;
		}
		else
		{
			$sum{unpriced} += $part;
		}
		last if $is_done;
	}
	$sum{unpriced} += $left if !$is_done && !$is_fee;
	return \%sum;
}

# What all the input would have cost without a cache, less what it cost: undef
# where no cache had to do with it, or that of some of it is not known.
sub saving_of
{
	my ($call, $input) = @_;
	my %rest = %{ $call->{rest} };
	my ($saving, %plain) = (Math::BigRat->new(0));
	for my $meter (grep { /^cache_/ && $rest{$_} > 0 } keys %rest)
	{
		my $cached = price_of($call, $meter, $rest{$meter}, $input);
		return undef if $cached->{unpriced} != 0;
		$saving -= $cached->{cost};
		$plain{ $meter =~ /_(audio|image|video)_tokens$/ ? "input_$1_tokens" : 'input_tokens' } += $rest{$meter};
	}
	return undef unless %plain;
	for my $meter (keys %plain)
	{
		my $rest = $rest{$meter} // 0;
		my ($without, $with) = map { price_of($call, $meter, $_, $input) } $rest + $plain{$meter}, $rest;
		return undef if $without->{unpriced} != $with->{unpriced};
		$saving += $without->{cost} - $with->{cost};
	}
	return $saving;
}

sub expect
{
	my ($call) = @_;
	my ($cost, $reasoning, $priced, $unpriced, $costs) = (Math::BigRat->new(0), Math::BigRat->new(0), 0, 0, 0);
	$call->{found} = [ cards_of($call) ];
	my %quantity = %{ $call->{rest} };
	my $is_empty = !%quantity;
	my $input = sum0(map { /output|reasoning/ ? 0 : $quantity{$_} } grep { /_tokens$/ } keys %quantity);
	$quantity{requests} = undef unless exists $quantity{requests};

	for my $meter (sort keys %quantity)
	{
		my $sum = price_of($call, $meter, $quantity{$meter} // 1, $input, !defined $quantity{$meter});
		$cost += $sum->{cost};
		$reasoning += $sum->{own} if $meter eq 'reasoning_tokens';
		$priced = 1 if $sum->{priced};
		$costs = 1 if $sum->{costs};
		$unpriced = 1 if $sum->{unpriced} != 0;
	}

	# A rate that could be for what nobody has counted.
	my $may_cost = $is_empty && grep { my $f = $_; grep { my $w = worth($call, $f, $_); $_->{meter} ne 'requests' && (!defined $w || $w != 0) } @{ $f->{version}{lines} } } @{ $call->{found} };
	return (undef, 'unpriced') if !@{ $call->{found} } || !$priced && ($unpriced || $is_empty) || $is_empty && $call->{status} eq 'error';
	return ($cost, $unpriced || $is_empty && $may_cost ? 'partial' : $costs ? 'priced' : 'free', $reasoning == 0 ? undef : $reasoning, saving_of($call, $input));
}

#
# The calls: of each token it is decided what it is, and the totals follow.
#
my %cards_by_model;
push @{ $cards_by_model{ $_->{model} } }, $_ for @cards;

sub random_call
{
	my %call = (model => 'm' . (1 + int(rand($models))), at => moment() + int(rand(3600)), class => pick('standard', 'standard', 'standard', 'batch', 'flex'), region => pick('', 'eu', 'us'), customer => pick('', 'acme', 'globex'),
		status => chance(0.05) ? 'error' : 'ok', rest => {});
	$call{cards} = $cards_by_model{ $call{model} };
	return \%call if chance(0.05);
	my $rest = $call{rest};
	my $size = pick(500, 5000, 50000, 200000);
	$rest->{$_} = chance(0.1) ? 0 : int(rand($size)) for grep { chance(0.6) } @columns;
	$rest->{$_} = 1 + int(rand($size)) for grep { chance(0.08) } @modal;
	$rest->{pages} = chance(0.5) ? 1 + int(rand(20)) : decimal(4, 2) + 1 if chance(0.2);
	$rest->{web_search_requests} = 1 + int(rand(12)) if chance(0.2);
	$rest->{requests} = int(rand(4)) if chance(0.05);
	# What is a part of a total is in it.
	for my $meter (keys %$rest)
	{
		$rest->{$_} //= 0 for @{ $stand_in{$meter} || [] };
	}
	return \%call;
}

# Calls that are priced alike come together, for the cache does not hold them all.
my @calls = sort { join('|', @$a{qw(model class region customer)}) cmp join('|', @$b{qw(model class region customer)}) } map { random_call() } 1 .. $calls;
my $csv;
for my $n (1 .. $calls)
{
	my $call = $calls[ $n - 1 ];
	my %total = %{ $call->{rest} };
	for my $meter (keys %{ $call->{rest} })
	{
		$total{$_} += $call->{rest}{$meter} for @{ $stand_in{$meter} || [] };
	}
	my $other = join(', ', map { "\"\"$_\"\": $total{$_}" } grep { my $m = $_; !grep { $_ eq $m } @columns } sort keys %total);
	$csv .= join(',', instant($call->{at}), 'p', @$call{qw(model class region customer status)}, (map { $total{$_} // '' } @columns), $other ? "\"{$other}\"" : '', $n) . "\n";
}
my $file = PostgreSQL::Test::Utils::tempdir() . '/calls.csv';
append_to_file($file, $csv);
$node->safe_psql('postgres', "\\copy cost_ledger.call (called_at, provider, model, service_class, region, customer, status, " . join(', ', @columns) . ", other_usage, step) FROM '$file' CSV");

sub is_same { my ($said, $expected) = @_; return defined $expected ? $said ne '' && Math::BigRat->new($said) == $expected : $said eq ''; }

my (%count, %known);
my $wrong = 0;
for my $row (split /\n/, $node->safe_psql('postgres', 'SELECT step, cost, pricing, reasoning_cost, prompt_cache_saving, usage_status FROM cost_ledger.call'))
{
	my ($n, $cost, $pricing, $reasoning, $saving, $usage_status) = split /\|/, $row, -1;
	my ($expected_cost, $expected_pricing, $expected_reasoning, $expected_saving) = expect($calls[ $n - 1 ]);
	my $is_right = $pricing eq $expected_pricing && is_same($cost, $expected_cost) && is_same($reasoning, $expected_reasoning) && is_same($saving, $expected_saving);
	$known{ $_->[0] }++ for grep { $_->[1] ne '' } [ 'reasoning', $reasoning ], [ $saving =~ /^-/ ? 'lost' : 'saved', $saving ];
	$count{$pricing}++;
	next if $is_right && $usage_status =~ /^(missing|)$/;
	diag("call $n: $cost $pricing reasoning $reasoning saving $saving $usage_status, expected " . join(' ', map { defined $_ ? ref $_ ? $_->numify : $_ : 'none' } $expected_cost, $expected_pricing, $expected_reasoning, $expected_saving) . "\n"
		. $node->safe_psql('postgres', "SELECT c.called_at, c.model, c.service_class, c.region, c.customer, c.status, u.usage, e.meter, e.quantity, e.unit_price, e.per, e.multiplier, e.amount, e.rule
			FROM cost_ledger.call c, LATERAL (SELECT jsonb_strip_nulls(jsonb_build_object(" . join(', ', map { "'$_', $_" } @columns) . ")) || coalesce(other_usage, '{}') AS usage) u,
			LATERAL cost_ledger.explain_cost(called_at, provider, model, usage, service_class, region, customer) e WHERE step = '$n'")) if $wrong++ < 3;
}
is($wrong, 0, "$calls calls cost what the rules say (seed $seed)");
note(join(', ', map { "$_ $count{$_}" } sort keys %count));
is(join(' ', sort keys %count), 'free partial priced unpriced', 'of every kind there are some');
note(join(', ', map { "$_ $known{$_}" } sort keys %known));
is(join(' ', sort keys %known), 'lost reasoning saved', 'caches saved and lost, and reasoning has rates of its own');

is($node->safe_psql('postgres', "
	SELECT count(*) FILTER (WHERE f.cost IS DISTINCT FROM c.cost), count(*) FILTER (WHERE e.amount IS DISTINCT FROM c.cost AND NOT (e.amount IS NULL AND c.cost = 0)), count(*) FILTER (WHERE f.pricing <> c.pricing OR c.cost IS NOT NULL AND f.price_id <> c.price_id OR f.prompt_cache_saving IS DISTINCT FROM c.prompt_cache_saving)
	FROM cost_ledger.call c,
	     LATERAL (SELECT jsonb_strip_nulls(jsonb_build_object(" . join(', ', map { "'$_', $_" } @columns) . ")) || coalesce(other_usage, '{}') AS usage) u,
	     LATERAL cost_ledger_internal.pricing_at(called_at, provider, model, usage, service_class, region, customer) f,
	     LATERAL (SELECT sum(amount) AS amount FROM cost_ledger.explain_cost(called_at, provider, model, usage, service_class, region, customer)) e
	WHERE c.usage_status IS NULL OR c.status = 'ok'"), '0|0|0', 'a call asked about costs what a call recorded does, and its explanation adds up to it');
is($node->safe_psql('postgres', q{SELECT count(*) FROM cost_ledger.rerate('2026-01-01', '2027-01-01')}), '0', 'pricing them again finds no difference');
is($node->safe_psql('postgres', q{SELECT (SELECT sum(amount) FROM cost_ledger.billed_meters('2026-01-01', '2027-01-01') WHERE meter <> '(not rerated)') = (SELECT sum(cost) FROM cost_ledger.call),
	(SELECT count(*) FROM cost_ledger.billed_meters('2026-01-01', '2027-01-01') WHERE meter = '(not rerated)')}), 't|0', 'what is billed per meter adds up to the calls');

done_testing();
