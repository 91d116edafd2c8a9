# Hundreds of real provider responses: our usage is the usage that an
# independent reader gets from each, and our cost is its price to the last
# decimal, through cost_at() and through an INSERT with raw_usage.
#
# The files are pydantic/genai-prices' price list and the responses of its own
# test, with what it makes of each.  They are not ours to ship: they are looked
# for in COST_LEDGER_DATA, or beside the source tree.

use strict;
use warnings;
use FindBin;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my $data = $ENV{COST_LEDGER_DATA} || "$root/../shared/data";
my $usages = "$data/provider_usages.json";
my $prices = "$data/genai_prices.json";

foreach my $file ($usages, $prices)
{
	plan skip_all => "no $file: set COST_LEDGER_DATA to the folder with it"
	  unless -r $file;
}

# The reference prices a response at the list's own date, in the light of day.
my $called_at = '2026-08-21 12:00:00+00';

# What is not compared, by file and model: at most 1 % of all, each where the
# provider's documentation says otherwise than the reference.
my @excluded = (
	[   qr/test_anthropic_compaction_usage_with_cache/,
		'the reference leaves out the compaction, which is billed and which the top-level counts exclude:'
		  . ' platform.claude.com/docs/en/build-with-claude/compaction, "Understanding usage"' ],
	[   qr/test_openrouter_binary_content_video_public_api/,
		'ours says more: the reference does not read prompt_tokens_details.video_tokens'
		  . ' (openrouter.ai/docs/use-cases/usage-accounting); the price is the same' ],
);

# The file says which client made the call, the object which of the provider's
# interfaces answered.  A response is read by every reader whose keys it has:
# the one of its real sender is compared.  Several for Hugging Face, which
# routes to hosts that the response does not name.
#
# Returns our provider and a pattern of the reference's "provider/flavour".
sub sender
{
	my ($body) = @_;
	my $file = $body->{file};
	my $model = $body->{model} // '';
	my $usage = $body->{usage} // {};
	my $shape =
	    $body->{usageMetadata} ? 'gemini'
	  : ($body->{meta} || $usage->{billed_units}) ? 'cohere'
	  : exists $usage->{inputTokens} ? 'converse'
	  : exists $usage->{prompt_tokens} ? 'chat'
	  : exists $usage->{total_tokens} ? 'responses'
	  :                                 'messages';

	# A shape of one provider.
	return ('google', 'google/default') if $shape eq 'gemini';
	return ('aws', 'aws/default') if $shape eq 'converse';
	return ('cohere', $body->{meta} ? 'cohere/embeddings' : 'cohere/default')
	  if $shape eq 'cohere';
	return $file =~ /bedrock/ ? ('aws', 'aws/anthropic')
	  : ('anthropic', 'anthropic/default')
	  if $shape eq 'messages';

	# A host that speaks OpenAI's language.  The reference reads neither
	# OpenRouter's nor Bedrock's responses: their shape is OpenAI's.
	return ('openrouter', $shape eq 'chat' ? 'openrouter/chat' : 'openai/responses')
	  if $file =~ /openrouter/;
	return ('aws', "openai/$shape") if $file =~ /bedrock_mantle/;
	return ('openai', 'openai/responses') if $shape eq 'responses';
	return ('cerebras', 'cerebras/chat') if $file =~ /cerebras/;
	return ('huggingface', 'huggingface_[^/]*/chat')
	  if $file =~ /huggingface/;
	return ('heroku', 'openai/chat') if $file =~ /heroku/;
	return ('ollama', 'openai/chat') if $file =~ /ollama/;
	foreach my $provider (qw(deepseek groq mistral zai))
	{
		return ($provider, "$provider/(default|chat)")
		  if $file =~ /test_\Q$provider\E|\[.*\Q$provider\E|\Q$provider\E\]|with_\Q$provider\E/;
	}

	# Tests over all providers, with the model of each.
	return ('groq', 'groq/default') if $model =~ m{^meta-llama/};
	return ('mistral', 'mistral/default') if $model =~ /^mistral/;
	return ('openai', 'openai/chat') if $model =~ /^(gpt-[45]|o[134])/;
	return;
}

sub slurp
{
	my ($file) = @_;
	local $/;
	open my $in, '<:raw', $file or die "$file: $!";
	return <$in>;
}

# As a value of COPY's text format.
sub copy_value
{
	my ($value) = @_;
	$value =~ s/([\\\t\n\r])/{ '\\' => '\\\\', "\t" => '\t', "\n" => '\n', "\r" => '\r' }->{$1}/ge;
	return $value;
}

my $text = slurp($usages);
my $entries = decode_json($text);
my $senders = '';
my $unknown = 0;
for my $i (0 .. $#$entries)
{
	my $body = $entries->[$i]{body};
	$body->{model} //= $entries->[$i]{model};
	my ($provider, $reader) = sender($body);
	if (!defined $provider)
	{
		diag("no sender: $body->{file}, " . ($body->{model} // ''));
		$unknown++;
		next;
	}
	my ($why) = map { $_->[1] } grep { $body->{file} =~ $_->[0] } @excluded;
	$senders .= join("\t", $i + 1, $provider, "^$reader\$", copy_value($why // '\N')) . "\n";
	$senders =~ s/\\\\N$/\\N/;
}
is($unknown, 0, 'every response has a sender');

my $node = PostgreSQL::Test::Cluster->new('usages');
$node->init;
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION cost_ledger;
	SELECT cost_ledger.create_ledger();
	CREATE TABLE doc (name text, doc jsonb);
	CREATE TABLE sender (n bigint, provider text, reader text, excluded text);
});
$node->safe_psql('postgres', join("\n",
	'COPY doc FROM stdin;',
	"usages\t" . copy_value($text),
	"prices\t" . copy_value(slurp($prices)),
	'\.',
	'COPY sender FROM stdin;', $senders . '\.', ''));
$node->safe_psql('postgres',
	q{SELECT count(*) FROM doc, cost_ledger.import_prices(doc, format => 'genai-prices') WHERE name = 'prices'});

# The reference's words for what we count.  It has text as a part too, and the
# 5-minute writes as a part of all writes; a count of 0 is one it leaves out.
$node->safe_psql('postgres', q{
	CREATE FUNCTION theirs(ours jsonb) RETURNS jsonb LANGUAGE sql AS $$
		SELECT coalesce(jsonb_object_agg(word, quantity) FILTER (WHERE quantity <> 0), '{}')
		FROM (SELECT CASE key
		                 WHEN 'cache_write_1h_tokens' THEN 'cache_write_tokens'
		                 WHEN 'reasoning_tokens' THEN 'output_reasoning_tokens'
		                 WHEN 'web_search_requests' THEN 'web_searches'
		                 ELSE regexp_replace(key, '^cache_(read|write)_(audio|image|video)_tokens$', 'cache_\2_\1_tokens')
		             END AS word,
		             sum(value::numeric) AS quantity
		      FROM jsonb_each(ours) GROUP BY 1) AS w
	$$;
	CREATE FUNCTION of_ours(theirs jsonb) RETURNS jsonb LANGUAGE sql AS $$
		SELECT coalesce(jsonb_object_agg(key, value), '{}')
		FROM jsonb_each(theirs)
		WHERE key !~ '(_|^)(text|tool)_' AND key <> 'cache_write_5m_tokens' AND value <> '0'
	$$;

	CREATE TABLE response AS
	SELECT e.n, s.provider, coalesce(e.entry ->> 'model', e.entry #>> '{body,model}') AS model,
	       e.entry #>> '{body,file}' AS file, s.excluded,
	       (e.entry -> 'body') - 'file' - 'model' AS raw, s.reader, e.entry
	FROM doc, jsonb_array_elements(doc) WITH ORDINALITY AS e (entry, n)
	LEFT JOIN sender s USING (n)
	WHERE name = 'usages';

	-- One row per reading by the real sender's readers.  What another reader of
	-- the same shape has read says nothing about the sender's price.
	CREATE TABLE reading AS
	SELECT row_number() OVER () AS id, r.n,
	       CASE WHEN is_own THEN x.value ->> 'provider_id' ELSE r.provider END AS provider,
	       coalesce(r.model, 'not told') AS model, r.raw,
	       of_ours(g.value -> 'usage') AS usage,
	       CASE WHEN is_own
	            THEN coalesce((x.value ->> 'total_price')::numeric,
	                          (x.value ->> 'input_price')::numeric + (x.value ->> 'output_price')::numeric)
	       END AS price
	FROM response r,
	     jsonb_array_elements(r.entry -> 'extracted') AS g,
	     jsonb_array_elements(g.value -> 'extractors') AS x,
	     LATERAL (SELECT starts_with(x.value ->> 'provider_id', r.provider) AS is_own) AS o
	WHERE (x.value ->> 'provider_id') || '/' || (x.value ->> 'api_flavor') ~ r.reader;
});

# Both ways.  The row's columns and other_usage are its usage.
$node->safe_psql('postgres', qq{
	ALTER TABLE reading ADD ours jsonb, ADD cost numeric;
	UPDATE reading SET ours = cost_ledger.normalize_usage(raw, NULL, provider);
	UPDATE reading SET cost = cost_ledger.cost_at('$called_at', provider, model, ours);
	INSERT INTO cost_ledger.call (called_at, provider, model, raw_usage, request_id)
	SELECT '$called_at', provider, model, raw, id FROM reading;

	CREATE TABLE result AS
	SELECT r.*, c.cost AS row_cost, c.usage_status,
	       theirs(r.ours) AS theirs, theirs(jsonb_strip_nulls(jsonb_build_object(
	           'input_tokens', c.input_tokens, 'cache_read_tokens', c.cache_read_tokens,
	           'cache_write_tokens', c.cache_write_tokens, 'cache_write_1h_tokens', c.cache_write_1h_tokens,
	           'output_tokens', c.output_tokens, 'reasoning_tokens', c.reasoning_tokens))
	           || coalesce(c.other_usage, '{}')) AS row_theirs
	FROM reading r
	LEFT JOIN cost_ledger.call c ON c.request_id = r.id::text;
});

$node->safe_psql('postgres', q{
	CREATE TABLE verdict AS
	SELECT p.n, p.provider, p.file, p.excluded,
	       count(r.id) > 0 AND bool_and(r.theirs = r.usage AND r.row_theirs = r.usage) AS same_usage,
	       count(r.price) AS prices,
	       coalesce(bool_and(r.cost = r.price AND r.row_cost = r.price) FILTER (WHERE r.price IS NOT NULL), true) AS same_price,
	       bool_or(r.usage_status = 'unexplained') AS unexplained,
	       string_agg(concat_ws(' ', r.provider, r.model, 'expected', r.usage, r.price, 'ours', r.theirs, r.cost, 'row', r.row_theirs, r.row_cost), '; ')
	           FILTER (WHERE NOT (r.theirs = r.usage AND r.row_theirs = r.usage AND (r.price IS NULL OR coalesce(r.cost = r.price AND r.row_cost = r.price, false)))) AS difference
	FROM response p
	LEFT JOIN result r USING (n)
	GROUP BY p.n, p.provider, p.file, p.excluded;
	UPDATE verdict SET same_price = false WHERE same_price IS NULL;
});

diag(sprintf('%-12s %9s %10s %9s %10s %8s %11s',
	'', 'responses', 'same usage', 'of priced', 'same price', 'excluded', 'unexplained'));
diag(sprintf('%-12s %9d %10d %9d %10d %8d %11d', split /\|/))
  foreach split /\n/, $node->safe_psql('postgres', q{
	SELECT coalesce(provider, 'total'), count(*),
	       count(*) FILTER (WHERE same_usage AND excluded IS NULL),
	       count(*) FILTER (WHERE prices > 0 AND excluded IS NULL),
	       count(*) FILTER (WHERE prices > 0 AND same_price AND excluded IS NULL),
	       count(*) FILTER (WHERE excluded IS NOT NULL),
	       count(*) FILTER (WHERE unexplained)
	FROM verdict GROUP BY ROLLUP (provider) ORDER BY provider});
diag("excluded: $_") foreach split /\n/, $node->safe_psql('postgres',
	q{SELECT file || ': ' || excluded FROM verdict WHERE excluded IS NOT NULL ORDER BY n});

is($node->safe_psql('postgres', q{
	SELECT n, file, difference FROM verdict
	WHERE excluded IS NULL AND NOT (same_usage AND same_price) ORDER BY n}),
	'', 'the usage and the price of every response are the expected ones');
is($node->safe_psql('postgres', q{
	SELECT n, file FROM verdict WHERE excluded IS NOT NULL AND same_usage AND same_price}),
	'', 'nothing is excluded that would have matched');
is($node->safe_psql('postgres', q{
	SELECT count(*) * 100 <= (SELECT count(*) FROM verdict) FROM verdict WHERE excluded IS NOT NULL}),
	't', 'at most 1 % is excluded');
is($node->safe_psql('postgres', q{SELECT count(*) > 0, bool_and(same_usage) FROM verdict WHERE prices = 0 AND excluded IS NULL}),
	't|t', 'those without a price in the reference have the expected usage too');

$node->stop;
done_testing();
