# Two public price lists, whole: every rate of LiteLLM's comes back out as it
# went in and moves the cost of a call; genai-prices' models are found and
# priced as an independent program does it.
#
# The files are not ours to ship.  They are looked for in COST_LEDGER_DATA, or
# beside the source tree.

use strict;
use warnings;
use FindBin;
use JSON::PP;
use Math::BigFloat;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my $data = $ENV{COST_LEDGER_DATA} || "$root/../shared/data";
my $litellm = "$data/litellm_prices.json";
my $genai = "$data/genai_prices.json";

foreach my $file ($litellm, $genai)
{
	plan skip_all => "no $file: set COST_LEDGER_DATA to the folder of the price lists"
	  unless -r $file;
}

my $node = PostgreSQL::Test::Cluster->new('prices');
$node->init;
$node->start;

# psql reads the files, so that the server needs no right to.
$node->safe_psql('postgres', qq{
	CREATE EXTENSION cost_ledger;
	SELECT cost_ledger.create_ledger();
	\\set doc `cat "$litellm"`
	CREATE TABLE litellm AS SELECT :'doc'::jsonb AS doc;
	\\set doc `cat "$genai"`
	CREATE TABLE genai AS SELECT :'doc'::jsonb AS doc;
});

sub query { return $node->safe_psql('postgres', $_[0]); }

#
# What each entry says its name costs, worked out here from the documents.
#
my $json = JSON::PP->new->allow_bignum->canonical;

# What a price key of LiteLLM buys, by its documentation.
my %litellm_meter = (
	input_cost_per_token => 'input_tokens', output_cost_per_token => 'output_tokens',
	cache_read_input_token_cost => 'cache_read_tokens', cache_creation_input_token_cost => 'cache_write_tokens',
	cache_creation_input_token_cost_above_1hr => 'cache_write_1h_tokens',
	input_cost_per_audio_token => 'input_audio_tokens', input_cost_per_image_token => 'input_image_tokens',
	output_cost_per_reasoning_token => 'reasoning_tokens', output_cost_per_audio_token => 'output_audio_tokens',
	output_cost_per_image_token => 'output_image_tokens', output_cost_per_video_token => 'output_video_tokens',
	input_cost_per_image => 'input_images', output_cost_per_image => 'output_images',
	input_cost_per_pixel => 'input_pixels', output_cost_per_pixel => 'output_pixels',
	input_cost_per_second => 'input_seconds', output_cost_per_second => 'output_seconds',
	input_cost_per_audio_per_second => 'input_audio_seconds', input_cost_per_video_per_second => 'input_video_seconds',
	output_cost_per_video_per_second => 'output_video_seconds', output_cost_per_second_1080p => 'output_seconds_1080p',
	input_cost_per_character => 'input_characters', output_cost_per_character => 'output_characters',
	input_cost_per_query => 'search_units', input_cost_per_request => 'requests',
	ocr_cost_per_page => 'pages', annotation_cost_per_page => 'annotation_pages', ocr_cost_per_credit => 'credits',
	code_interpreter_cost_per_session => 'code_interpreter_sessions');

# The meter of a price, which for pictures, videos and recordings depends on what
# the model does.
sub meter_of
{
	my ($entry, $key) = @_;
	my $mode = $entry->{mode} // '';
	if ($key eq 'input_cost_per_image')
	{
		return 'output_images' if $mode =~ /^image_(generation|edit)$/ && !exists $entry->{output_cost_per_image};
		return 'input_image_tokens' if $mode eq 'realtime';
	}
	return 'output_seconds' if $key eq 'output_cost_per_video_per_second' && !exists $entry->{output_cost_per_second};
	if ($mode eq 'audio_transcription' && !$entry->{input_cost_per_second})
	{
		return 'output_seconds' if $key eq 'input_cost_per_second';
		return 'input_seconds' if $key eq 'output_cost_per_second';
	}
	return $litellm_meter{$key};
}

# Its rates for a class of calls of so many input tokens.
sub litellm_rates
{
	my ($entry, $class, $input) = @_;
	my %suffix = (standard => '', batch => '_batches', flex => '_flex', priority => '_priority');
	my (%rate, %above);
	my $take = sub {
		my ($key, $price) = @_;
		return unless defined $price && !ref($price) || ref($price) eq 'Math::BigFloat' || ref($price) eq 'Math::BigInt';
		return unless $key =~ s/$suffix{$class}$//;
		my $over = $key =~ s/_above_(\d+)k_tokens$// ? $1 * 1000 : -1;
		my $meter = meter_of($entry, $key) or return;
		return if $entry->{litellm_provider} eq 'xai' ? $input < $over : $input <= $over;
		return if exists $above{$meter} && $above{$meter} > $over;
		($rate{$meter}, $above{$meter}) = ($price, $over);
	};
	$take->($_, $entry->{$_}) foreach keys %$entry;
	# Some say it in steps, each to its end inclusive, the last without one.
	my @steps = grep { $_->{range} } @{ $entry->{tiered_pricing} || [] };
	foreach my $i (0 .. $#steps)
	{
		my ($from, $to) = @{ $steps[$i]{range} };
		next unless $input > $from && ($input <= $to || $i == $#steps);
		$take->($_, $steps[$i]{$_}) foreach keys %{ $steps[$i] };
	}
	return \%rate;
}

my %part = (cache_read_tokens => 'input_tokens', cache_write_tokens => 'input_tokens', cache_write_1h_tokens => 'input_tokens',
	input_audio_tokens => 'input_tokens', input_image_tokens => 'input_tokens', reasoning_tokens => 'output_tokens',
	output_audio_tokens => 'output_tokens', output_image_tokens => 'output_tokens', output_video_tokens => 'output_tokens');

# A usage that has something of every meter that has a rate, and its cost.
sub use_all
{
	my ($rate, $input) = @_;
	my %usage = map { $_ => $part{$_} ? 40 : $_ eq 'input_tokens' ? $input : $_ eq 'output_tokens' ? 500 : $_ eq 'requests' ? 1 : 7 } keys %$rate;
	my %left = %usage;
	foreach my $meter (grep { $part{$_} } keys %usage)
	{
		# A part of nothing is no usage.
		if (exists $usage{ $part{$meter} }) { $left{ $part{$meter} } -= $usage{$meter} }
		else { delete $usage{$meter}; delete $left{$meter} }
	}
	# Every call has one, which nobody has to send.
	delete $usage{requests};
	$usage{input_tokens} = 0 if !%usage && %$rate;
	my $cost = Math::BigFloat->new(0);
	$cost += Math::BigFloat->new("$rate->{$_}") * $left{$_} foreach keys %left;
	return (\%usage, $cost);
}

sub plain_provider
{
	my $p = lc shift;
	my %other = (bedrock_converse => 'bedrock', cohere_chat => 'cohere', azure_text => 'azure');
	$p =~ s/^(vertex_ai|fireworks_ai)-.*/$1/;
	$p =~ s/^text-completion-//;
	return $other{$p} || $p;
}

my %otel = (bedrock => 'aws.bedrock', vertex_ai => 'gcp.vertex_ai', gemini => 'gcp.gemini', azure => 'azure.ai.openai', azure_ai => 'azure.ai.inference',
	xai => 'x_ai', mistral => 'mistral_ai', watsonx => 'ibm.watsonx.ai', moonshot => 'moonshot_ai');


# Every entry of LiteLLM's list as a client may name it: by its key or without
# the provider's prefix, of the list's provider or of whom it stands for, in
# OpenTelemetry's words, in capitals.
sub litellm_calls
{
	my ($doc) = @_;
	my (@calls, %named, %folded, %bare);
	my @entries = grep { !/^(?:sample_spec|fallback_generalizations)$/ } sort keys %$doc;
	foreach my $key (@entries)
	{
		my $raw = $doc->{$key}{litellm_provider};
		my $provider = plain_provider($raw);
		(my $rest = $key) =~ s{^(?:\Q$raw\E|\Q$provider\E|amazon-nova)/}{};
		$named{$key} = [ $provider, $rest ];
		$folded{ lc $key }++;
		$bare{ lc "$provider $rest" }++;
	}
	foreach my $key (@entries)
	{
		my $raw = $doc->{$key}{litellm_provider};
		my ($provider, $rest) = @{ $named{$key} };
		my @names = ([ $raw, $key ], [ $provider, $key ]);
		push @names, [ ucfirst $raw, uc $key ], [ uc $provider, lc $key ] if $folded{ lc $key } == 1;
		# Two may be one without what tells them apart.
		push @names, [ $otel{$provider} || $provider, $rest ] if $bare{ lc "$provider $rest" } == 1;
		foreach my $class (qw(standard batch flex priority))
		{
			foreach my $input (1000, 600000)
			{
				my ($usage, $cost) = use_all(litellm_rates($doc->{$key}, $class, $input), $input);
				next unless %$usage;
				my $text = $json->encode($usage);
				push @calls, [ $key, '2026-09-01', @$_, $class, $text, $cost->bstr ]
				  foreach $class eq 'standard' && $input == 1000 ? @names : $names[0];
			}
		}
	}
	return @calls;
}

# Of several prices the last whose constraint holds, else the first.
sub genai_prices_at
{
	my ($model, $day, $time) = @_;
	my $prices = $model->{prices};
	return $prices if ref $prices eq 'HASH';
	foreach my $p (reverse @$prices)
	{
		my $c = $p->{constraint} || {};
		next if defined $c->{start_date} && $day lt $c->{start_date};
		next if defined $c->{start_time} && ($time lt substr($c->{start_time}, 0, 8) || $time ge substr($c->{end_time}, 0, 8));
		return $p->{prices};
	}
	return $prices->[0]{prices};
}

my %genai_part = (cache_read => 'input', cache_write => 'input', input_audio => 'input', output_audio => 'output', output_reasoning => 'output');
my %genai_meter = (input => 'input_tokens', output => 'output_tokens', cache_read => 'cache_read_tokens', cache_write => 'cache_write_tokens',
	input_audio => 'input_audio_tokens', output_audio => 'output_audio_tokens', output_reasoning => 'reasoning_tokens');

sub genai_use_all
{
	my ($prices, $input) = @_;
	my (%rate, %usage, %left);
	foreach my $word (keys %genai_meter)
	{
		my $price = $prices->{"${word}_mtok"};
		# A model without any price is a free one.
		$price = 0 if !%$prices && $word =~ /^(?:input|output)$/;
		next unless defined $price;
		if (ref $price eq 'HASH')
		{
			my ($tier) = sort { $b->{start} <=> $a->{start} } grep { $input > $_->{start} } @{ $price->{tiers} };
			$price = $tier ? $tier->{price} : $price->{base};
		}
		$rate{$word} = $price;
	}
	foreach my $word (keys %rate)
	{
		my $total = $genai_part{$word};
		next if $total && !exists $rate{$total};
		my $n = $total ? 40 : $word eq 'input' ? $input : 500;
		$usage{ $genai_meter{$word} } = $n;
		$left{$word} += $n;
		$left{$total} -= $n if $total;
	}
	my $cost = Math::BigFloat->new(0);
	$cost += Math::BigFloat->new("$rate{$_}") * $left{$_} foreach keys %left;
	$cost /= 1000000;
	$cost += Math::BigFloat->new("$prices->{requests_kcount}") / 1000 if defined $prices->{requests_kcount};
	return (\%usage, $cost);
}

my %genai_names = (google => [qw(gcp.gemini gcp.vertex_ai vertex_ai)], aws => [qw(aws.bedrock bedrock)], azure => [qw(azure.ai.openai azure_ai)], 'x-ai' => [qw(x_ai xai)],
	mistral => ['mistral_ai'], moonshotai => ['moonshot'], together => ['together_ai'], fireworks => ['fireworks_ai'], voyageai => ['voyage'], perplexity => ['perplexity_ai']);


# And every model of genai-prices.
sub genai_calls
{
	my ($doc) = @_;
	my @calls;
	foreach my $provider (@$doc)
	{
		my $id = $provider->{id};
		my %folded;
		$folded{ lc $_->{id} }++ foreach @{ $provider->{models} };
		foreach my $model (@{ $provider->{models} })
		{
			my @names = ([ $id, $model->{id} ], [ $id, "$id/$model->{id}" ], map { [ $_, $model->{id} ] } @{ $genai_names{$id} || [] });
			push @names, [ ucfirst $id, uc $model->{id} ] if $folded{ lc $model->{id} } == 1;
			foreach my $at ([ '2026-10-01', '12:00:00', 1000 ], [ '2026-10-01', '18:00:00', 600000 ], [ '2025-01-15', '12:00:00', 1000 ])
			{
				my ($day, $time, $input) = @$at;
				my ($usage, $cost) = genai_use_all(genai_prices_at($model, $day, $time), $input);
				next unless %$usage;
				my $text = $json->encode($usage);
				push @calls, [ "$id $model->{id}", "$day $time+00", @$_, 'standard', $text, $cost->bstr ]
				  foreach $day eq '2026-10-01' && $input == 1000 ? @names : $names[0];
			}
		}
	}
	return @calls;
}

# Each call costs what its entry says.
sub check_names
{
	my ($list, $entries, @calls) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/$list.tsv";
	append_to_file($file, join('', map { join("\t", @$_) . "\n" } @calls));
	query(qq{
		CREATE TABLE $list (entry text, at timestamptz, provider text, model text, class text, usage jsonb, cost numeric, ours numeric);
		\\copy $list (entry, at, provider, model, class, usage, cost) FROM '$file'
		UPDATE $list SET ours = cost_ledger.cost_at(at, provider, model, usage, class)});
	note(query("SELECT format('%s calls of %s entries', count(*), count(DISTINCT entry)) FROM $list"));
	cmp_ok(query("SELECT count(DISTINCT entry) FROM $list"), '>=', $entries, "entries of $list that have a price are sent as models");
	is(query("SELECT count(*) FILTER (WHERE ours <> cost), count(*) FILTER (WHERE ours IS NULL) FROM $list"), '0|0', "each as one that it may be called by: none has another's price, and none has none")
	  or diag(query("SELECT string_agg(l::text, E'\\n') FROM (SELECT * FROM $list WHERE ours IS DISTINCT FROM cost LIMIT 20) AS l"));
}

#
# LiteLLM
#
my $began = time;
note('what the list does: ' . query(q{
	CREATE TABLE diff AS SELECT r.* FROM litellm, cost_ledger.import_prices(doc, 'litellm', valid_from => '2026-08-01') r;
	SELECT string_agg(format('%s %s', outcome, n), ', ') FROM (SELECT outcome, count(*) AS n FROM diff GROUP BY 1) AS c}));
note(sprintf('imported in %d s', time - $began));
is(query('SELECT count(*) FROM diff WHERE outcome <> $$new$$'), '0', 'a first import is all new: nothing unknown, nothing held');

# What the document has, counted without our grammar: every number under a key
# that speaks of cost, and every factor.
query(q{
	CREATE TABLE stated AS
	WITH RECURSIVE walk AS (
		SELECT e.key AS entry, '{}'::text[] AS path, e.value
		FROM litellm, jsonb_each(doc) AS e
		WHERE e.key NOT IN ('sample_spec', 'fallback_generalizations')
		UNION ALL
		SELECT w.entry, w.path || c.key, c.value
		FROM walk w, LATERAL (
			SELECT o.key, o.value FROM jsonb_each(CASE WHEN jsonb_typeof(w.value) = 'object' THEN w.value END) AS o
			UNION ALL
			SELECT (a.n - 1)::text, a.value FROM jsonb_array_elements(CASE WHEN jsonb_typeof(w.value) = 'array' THEN w.value END) WITH ORDINALITY AS a (value, n)) AS c
	)
	SELECT entry, path, value::numeric AS number,
	       path[1] = 'provider_specific_entry' OR path[1] ~ 'multiplier' AS is_multiplier
	FROM walk
	WHERE jsonb_typeof(value) = 'number' AND path[1] <> 'metadata'
	  AND NOT path && '{range,max_results_range}'
	  AND (array_to_string(path, '.') ~ 'cost|multiplier|provider_specific_entry');
	CREATE TABLE returned AS SELECT cost_ledger.export_prices('litellm', '2026-08-01') AS doc;
});
is(query('SELECT count(DISTINCT entry) > 2800, count(*) FILTER (WHERE NOT is_multiplier), count(*) FILTER (WHERE is_multiplier) FROM stated'),
	't|8881|50', 'the document has 8,881 rates and 50 multipliers');
is(query(q{
	SELECT count(*) FILTER (WHERE NOT is_multiplier), count(*) FILTER (WHERE is_multiplier)
	FROM stated s, returned r
	WHERE (r.doc -> s.entry #>> s.path)::numeric = s.number}),
	'8881|50', 'all of them come back, equal as decimals');
is(query(q{
	SELECT count(*) FROM (SELECT key, value FROM litellm, jsonb_each(doc) WHERE key NOT IN ('sample_spec', 'fallback_generalizations')
	                      EXCEPT SELECT key, value FROM returned, jsonb_each(doc)) AS lost}),
	'0', 'and every entry is what it was');
is(query(q{
	SELECT count(*) > 0, max(scale(number)) FROM stated WHERE scale(number) > 15}), 't|23', 'some have up to 23 decimals');

# A line that is none of the document's would be invented.  Those there are: a
# search of no stated size, an image whose pixels are in the model's name, and
# regions also found by their name.
is(query(q{
	SELECT count(*) FROM (
		SELECT provider, model, service_class, meter, over_tokens, is_inclusive, unit_price, per FROM cost_ledger.price_list WHERE region = '' AND meter <> 'web_search_requests'
		EXCEPT
		SELECT c.provider, c.model, x.service_class, m.meter, coalesce((x.rate ->> 'over')::bigint, 0), coalesce((x.rate ->> 'inclusive')::boolean, false), m.price, (x.rate ->> 'per')::bigint
		FROM litellm, jsonb_each(doc) AS e, cost_ledger_internal.litellm_rates(e.key, e.value) x, cost_ledger_internal.price_source s, cost_ledger_internal.price_origin o, cost_ledger_internal.price p, cost_ledger_internal.rate_card c,
		     regexp_match(e.key, '([0-9]+)-x-([0-9]+)/') AS size,
		     LATERAL (VALUES (x.meter, x.price), (CASE WHEN x.meter = 'input_pixels' THEN 'output_images' END, x.price * size[1]::numeric * size[2]::numeric)) AS m (meter, price)
		WHERE e.key NOT IN ('sample_spec', 'fallback_generalizations') AND x.kind = 'price' AND s.entry = e.key AND o.source_id = s.source_id AND p.price_id = o.price_id AND c.card_id = p.card_id) AS invented}),
	'0', 'no line is of anything else');

is(query(q{SELECT count(*) FROM litellm, cost_ledger.import_prices(doc, 'litellm')}), '0', 'the same document again: no difference');
is(query(q{SELECT count(*) = count(DISTINCT card_id) FROM cost_ledger_internal.price}), 't', 'and no new version');

# Every rate and multiplier moves the cost of a call made for it: as many units
# of its meter as its tier takes, against none of them.
is(query(q{
	INSERT INTO cost_ledger.exchange_rate (currency, valid_from, rate) VALUES ('DBU', '2026-08-01', 0.07);
	CREATE TABLE moved AS
	SELECT e.key AS entry, x.path, x.price, x.kind, u.service_class, u.region,
	       cost_ledger.cost_at('2026-09-01', c.provider, c.model, u.usage, u.service_class, u.region) AS with_it,
	       -- the same tokens, but none of this meter's kind; of a multiplier, the same call elsewhere
	       cost_ledger.cost_at('2026-09-01', c.provider, c.model, u.without, CASE WHEN x.kind = 'price' THEN u.service_class ELSE 'standard' END,
	                           CASE WHEN x.kind = 'price' THEN u.region END) AS without_it,
	       x.price / (x.rate ->> 'per')::numeric * CASE WHEN x.currency = 'DBU' THEN 0.07 ELSE 1 END * u.units AS own_part
	FROM litellm, jsonb_each(doc) AS e,
	     LATERAL cost_ledger_internal.litellm_rates(e.key, e.value) x,
	     LATERAL (SELECT k.provider, k.model
	              FROM cost_ledger_internal.price_source s JOIN cost_ledger_internal.price_origin o USING (source_id) JOIN cost_ledger_internal.price p USING (price_id) JOIN cost_ledger_internal.rate_card k USING (card_id)
	              WHERE s.entry = e.key AND k.region = '' LIMIT 1) AS c,
	     LATERAL (SELECT (coalesce((x.rate ->> 'over')::bigint, 0) + 1000) AS units) AS n,
	     LATERAL (SELECT CASE WHEN x.kind = 'price' THEN x.service_class ELSE coalesce(nullif(x.service_class, ''), 'standard') END AS service_class, nullif(x.region, '') AS region,
	                     CASE WHEN x.meter = 'requests' THEN 1 ELSE n.units END AS units,
	                     CASE WHEN x.kind = 'multiplier' OR x.meter ~ '^(input|cache)_.*tokens$' OR x.meter = 'input_tokens'
	                          THEN jsonb_build_object('input_tokens', n.units) || CASE WHEN x.meter ~ 'cache_read_(audio|image|video)' THEN jsonb_build_object('cache_read_tokens', n.units, replace(x.meter, 'cache_read_', 'input_'), n.units)
	                                                                                  WHEN x.meter ~ 'cache_write_(audio|image|video)' THEN jsonb_build_object('cache_write_tokens', n.units, replace(x.meter, 'cache_write_', 'input_'), n.units)
	                                                                                  ELSE '{}' END
	                               || CASE WHEN x.kind = 'price' THEN jsonb_build_object(x.meter, n.units) ELSE '{}' END
	                          WHEN x.meter ~ '^output_.*tokens$|^reasoning_tokens$'
	                          THEN jsonb_build_object('input_tokens', n.units, 'cache_read_tokens', 0, 'output_tokens', n.units, x.meter, n.units)
	                          WHEN x.meter = 'requests' THEN jsonb_build_object('input_tokens', 0)
	                          ELSE jsonb_build_object('input_tokens', CASE WHEN x.rate ? 'over' THEN n.units ELSE 0 END, x.meter, n.units) END AS usage,
	                     CASE WHEN x.kind = 'multiplier' THEN jsonb_build_object('input_tokens', n.units)
	                          WHEN x.meter ~ '^output_.*tokens$|^reasoning_tokens$' THEN jsonb_build_object('input_tokens', n.units, 'output_tokens', 0)
	                          WHEN x.meter ~ '^(input|cache)_.*tokens$' OR x.meter = 'input_tokens' THEN jsonb_build_object('input_tokens', 0)
	                          ELSE jsonb_build_object('input_tokens', CASE WHEN x.rate ? 'over' THEN n.units ELSE 0 END) END AS without) AS u
	WHERE e.key NOT IN ('sample_spec', 'fallback_generalizations');
	SELECT count(*) FILTER (WHERE kind = 'price'), count(*) FILTER (WHERE kind = 'multiplier') FROM moved}),
	'8881|50', 'a call was made for every rate and multiplier');
is(query(q{SELECT count(*) FROM moved WHERE kind = 'multiplier' AND with_it <= without_it}), '0', 'every multiplier raises its cost');
is(query(q{
	SELECT count(*) FROM moved
	WHERE kind = 'price' AND path[array_upper(path, 1)] <> 'input_cost_per_request'
	  AND with_it - coalesce(without_it, 0) IS DISTINCT FROM own_part}),
	'0', 'every rate adds to the cost of its call what it says, exactly')
  or diag(query(q{SELECT string_agg(m::text, E'\n') FROM (SELECT * FROM moved WHERE kind = 'price' AND with_it - coalesce(without_it, 0) IS DISTINCT FROM own_part LIMIT 20) AS m}));
is(query(q{SELECT count(*), count(*) FILTER (WHERE with_it = price) FROM moved WHERE path = '{input_cost_per_request}'}), '4|4', 'a price per request is the cost of a call of nothing');
note('distinct keys moved: ' . query(q{SELECT count(DISTINCT path[array_upper(path, 1)]) FROM moved}));

check_names('litellm_names', 2880, litellm_calls($json->decode(slurp_file($litellm))));

#
# Our own form
#
query(q{CREATE TABLE own AS SELECT cost_ledger.export_prices() AS doc});
query(q{SELECT cost_ledger.drop_ledger(i_mean_it => true)});
query(q{SELECT cost_ledger.create_ledger()});
query(q{SELECT count(*) FROM own, cost_ledger.import_prices(doc, 'cost_ledger')});
is(query(q{SELECT doc = cost_ledger.export_prices() FROM own}), 't', 'the whole list leaves in our own form and comes back the same');

#
# genai-prices
#
query(q{SELECT cost_ledger.drop_ledger(i_mean_it => true)});
query(q{SELECT cost_ledger.create_ledger()});
$began = time;
note('what the list does: ' . query(q{
	DROP TABLE diff;
	CREATE TABLE diff AS SELECT r.* FROM genai, cost_ledger.import_prices(doc, 'genai-prices') r;
	SELECT string_agg(format('%s %s', outcome, n), ', ') FROM (SELECT outcome, count(*) AS n FROM diff GROUP BY 1) AS c}));
note(sprintf('imported in %d s', time - $began));
is(query(q{SELECT count(*) FROM diff WHERE outcome IN ('held', 'unknown')}), '0', 'nothing held, nothing unknown');
is(query(q{SELECT count(*) FROM genai, cost_ledger.import_prices(doc, 'genai-prices')}), '0', 'the same document again: no difference');

check_names('genai_names', 1466, genai_calls($json->decode(slurp_file($genai))));

# By the rules of genai-prices, in another language: which model a name is, and
# what a usage costs at a time.
my $recompute = <<'PYTHON';
import json, re, sys
from datetime import datetime, date, time
from decimal import Decimal, getcontext
getcontext().prec = 60

providers = json.load(open(sys.argv[1]), parse_float=Decimal)
by_id = {p['id']: p for p in providers}

def holds(rule, name):
    (word, value), = rule.items()
    if word == 'or': return any(holds(r, name) for r in value)
    if word == 'and': return all(holds(r, name) for r in value)
    return {'equals': lambda: name == value, 'starts_with': lambda: name.startswith(value), 'ends_with': lambda: name.endswith(value),
            'contains': lambda: value in name, 'regex': lambda: bool(re.search(value, name))}[word]()

def find(provider, name):
    for p in [provider] + (by_id[provider].get('fallback_model_providers') or []):
        for m in by_id[p]['models']:
            if holds(m['match'], name): return p, m

def words(rule):
    (word, value), = rule.items()
    if word in ('or', 'and'):
        for r in value: yield from words(r)
    elif word != 'regex': yield value

def prices_at(model, at):
    if isinstance(model['prices'], dict): return model['prices']
    for c in reversed(model['prices']):
        k = c.get('constraint') or {}
        if 'start_date' in k and at.date() < date.fromisoformat(k['start_date']): continue
        if 'start_time' in k and not time.fromisoformat(k['start_time'][:8]) <= at.time() < time.fromisoformat(k['end_time'][:8]): continue
        return c['prices']
    return model['prices'][0]['prices']

def cost(model, at, i, r, o):
    prices = prices_at(model, at)
    def rate(key):
        v = prices.get(key)
        if isinstance(v, dict):
            best = v['base']
            for t in v['tiers']:
                if i > t['start']: best = t['price']
            return Decimal(best)
        return None if v is None else Decimal(v)
    a, b, c = rate('input_mtok'), rate('cache_read_mtok'), rate('output_mtok')
    if prices == {}: a = c = Decimal(0)
    if a is None or c is None: return None
    return ((i - r) * a + r * (a if b is None else b) + o * c) / 1000000 + Decimal(prices.get('requests_kcount', 0)) / 1000

times = [datetime(2025, 6, 9, 23, 59, 59), datetime(2025, 6, 10, 0, 30), datetime(2026, 3, 13, 16, 29, 59), datetime(2026, 10, 1, 16, 30)]
for p in providers:
    names = {w + s for m in p['models'] for w in words(m['match']) for s in ('', '-x')}
    for name in sorted(names):
        found = find(p['id'], name)
        # Names that are cards of their own come before any rule, as do upper-case ones, which genai-prices never finds.
        if found is None or name != name.lower(): continue
        for n, at in enumerate(times):
            c = cost(found[1], at, (1000, 200000, 200001, 300000)[n], 700, 500)
            print(p['id'], name, found[0], found[1]['id'], at.isoformat() + 'Z', (1000, 200000, 200001, 300000)[n], '' if c is None else format(c.normalize(), 'f'), sep='\t')
PYTHON

SKIP:
{
	my ($stdout, $stderr);
	my $has_python = eval { IPC::Run::run([ 'python3', '-c', 'import decimal' ], '>', \$stdout, '2>', \$stderr) };
	skip 'no python3 to look up models and compute costs with', 3 unless $has_python;

	ok(IPC::Run::run([ 'python3', '-c', $recompute, $genai ], '>', "$PostgreSQL::Test::Utils::tmp_check/expected.tsv", '2>', \$stderr),
		'costs are recomputed from the file')
	  or diag($stderr);
	query(qq{
		CREATE TABLE expected (provider text, name text, to_provider text, to_model text, at timestamptz, input bigint, cost numeric);
		\\copy expected FROM '$PostgreSQL::Test::Utils::tmp_check/expected.tsv' (NULL '')
		CREATE TABLE found AS
		SELECT DISTINCT ON (e.provider, e.name) e.provider, e.name, e.to_provider, e.to_model, r.priced_provider, r.priced_model
		FROM (SELECT DISTINCT provider, name, to_provider, to_model FROM expected) AS e
		LEFT JOIN LATERAL (SELECT * FROM cost_ledger.resolve_model(e.provider, e.name) r WHERE r.is_used) AS r ON true;
	});
	note(query('SELECT count(*) FROM found') . ' names looked up');
	is(query('SELECT count(*) FROM found WHERE (to_provider, to_model) IS DISTINCT FROM (priced_provider, priced_model)'),
		'0', 'every name is the model that it is to genai-prices')
	  or diag(query(q{SELECT string_agg(f::text, E'\n') FROM (SELECT * FROM found WHERE (to_provider, to_model) IS DISTINCT FROM (priced_provider, priced_model) LIMIT 20) AS f}));
	note(query('SELECT count(*) FROM expected WHERE cost IS NOT NULL') . ' costs compared');
	is(query(q{
		SELECT count(*) FROM expected e
		WHERE e.cost IS NOT NULL
		  AND e.cost IS DISTINCT FROM cost_ledger.cost_at(e.at, e.provider, e.name, jsonb_build_object('input_tokens', e.input, 'cache_read_tokens', 700, 'output_tokens', 500))}),
		'0', 'and costs what it costs there: tiers, dates and hours of the day included')
	  or diag(query(q{SELECT string_agg(e::text, E'\n') FROM (SELECT e.*, cost_ledger.cost_at(e.at, e.provider, e.name, jsonb_build_object('input_tokens', e.input, 'cache_read_tokens', 700, 'output_tokens', 500)) AS ours FROM expected e WHERE e.cost IS NOT NULL AND e.cost IS DISTINCT FROM cost_ledger.cost_at(e.at, e.provider, e.name, jsonb_build_object('input_tokens', e.input, 'cache_read_tokens', 700, 'output_tokens', 500)) LIMIT 20) AS e}));
}

$node->stop;
done_testing();
