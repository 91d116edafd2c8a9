# The shipped price list is what script/seed-prices makes of the two public
# catalogues; and what it says they agree on stands in both, as a program reads them
# that knows nothing of the extension.
#
# The files are not ours to ship.  They are looked for in COST_LEDGER_DATA, or
# beside the source tree.

use strict;
use utf8;
use warnings;
use FindBin;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my $data = $ENV{COST_LEDGER_DATA} || "$root/../shared/data";
my %file = (litellm => "$data/litellm_prices.json", genai => "$data/genai_prices.json");

foreach my $file (values %file)
{
	plan skip_all => "no $file: set COST_LEDGER_DATA to the folder of the price lists"
	  unless -r $file;
}

my $shipped = slurp_file("$root/prices/seed.json");
my $seed = decode_json($shipped);
my ($litellm_date, $genai_date) = $seed->{source} =~ /^LiteLLM of (\S+) and genai-prices of (\S+)$/
  or die "no dates in the list's source";

#
# Made again
#
my $node = PostgreSQL::Test::Cluster->new('seed_prices');
$node->init;
$node->start;
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGDATABASE} = 'postgres';
my $differences = "$PostgreSQL::Test::Utils::tmp_check/differences.tsv";
my ($made, $said) = ('', '');
$node->safe_psql('postgres', 'CREATE DATABASE cost_ledger_seed_prices');
my @command = ("$root/script/seed-prices", $file{litellm}, $litellm_date, $file{genai}, $genai_date, $differences);
ok(IPC::Run::run(\@command, '>', \$made, '2>', \$said), 'script/seed-prices makes a list') or diag $said;
is($said, '', 'and says nothing else');
ok($made eq $shipped, 'the shipped list is what it makes')
  or diag 'script/seed-prices prints another list than prices/seed.json';
unlike(slurp_file($differences), qr/\t(model|class) left out|another price|without a source/, 'no model of prices/models.json is left out unseen');
is($node->safe_psql('postgres', q{SELECT string_agg(datname, ' ') FROM pg_database WHERE datname ~ 'seed'}), 'cost_ledger_seed_prices', 'it leaves no database behind, and one of somebody else in peace');

# Whoever gives it what it cannot use is told.
ok(!IPC::Run::run([ $command[0] ], '>', \my $nothing, '2>', \$said), 'without documents it refuses');
like($said, qr/^Usage: /, 'and says how it is used');
ok(!IPC::Run::run([ @command[0 .. 2], "$data/none.json", @command[4, 5] ], '>', \$nothing, '2>', \$said), 'so it does without a file');
like($said, qr/cannot read .*none\.json/, 'which it names');
$node->stop;

#
# Read again
#
my $litellm = decode_json(slurp_file($file{litellm}));
my %genai = map { $_->{id} => $_ } @{ decode_json(slurp_file($file{genai})) };
my %genai_id = (bedrock => 'aws', fireworks_ai => 'fireworks', gemini => 'google', moonshot => 'moonshotai', together_ai => 'together', vertex_ai => 'google', xai => 'x-ai');
my %litellm_provider = (vertex_ai => [qw(vertex_ai-language-models vertex_ai vertex_ai-anthropic_models vertex_ai-embedding-models)], openai => [qw(openai text-completion-openai)], bedrock => [qw(bedrock_converse bedrock)], cohere => [qw(cohere_chat cohere)]);
my %litellm_key = (input_tokens => 'input_cost_per_token', output_tokens => 'output_cost_per_token', cache_read_tokens => 'cache_read_input_token_cost',
	cache_write_tokens => 'cache_creation_input_token_cost', cache_write_1h_tokens => 'cache_creation_input_token_cost_above_1hr',
	input_audio_tokens => 'input_cost_per_audio_token', output_audio_tokens => 'output_cost_per_audio_token', cache_read_audio_tokens => 'cache_read_input_audio_token_cost');
my %genai_key = (input_tokens => 'input_mtok', output_tokens => 'output_mtok', cache_read_tokens => 'cache_read_mtok', cache_write_tokens => 'cache_write_mtok',
	cache_write_1h_tokens => 'cache_write_1h_mtok', input_audio_tokens => 'input_audio_mtok', output_audio_tokens => 'output_audio_mtok', cache_read_audio_tokens => 'cache_audio_read_mtok', web_search_requests => 'web_searches_kcount');

# A rate as "price, price over a number", so that two can be compared.
sub rate
{
	my ($base, @tiers) = @_;
	return join ', ', map { defined $_->[0] ? sprintf('%.8g', $_->[0]) . ($_->[1] ? " over $_->[1]" : '') : 'nothing' } [$base], @tiers;
}

sub shipped_rate
{
	my ($rate) = @_;
	my ($base, @tiers) = ref $rate eq 'ARRAY' ? @$rate : ($rate);
	return rate(ref $base ? $base->{price} : $base, map { [ $_->{price}, $_->{over} ] } @tiers);
}

sub litellm_entry
{
	my ($provider, $model) = @_;
	foreach my $theirs (@{ $litellm_provider{$provider} // [$provider] })
	{
		my @names = sort { length $a <=> length $b || $b cmp $a }
		  grep { ref $litellm->{$_} && ($litellm->{$_}{litellm_provider} // '') eq $theirs && /^(?:\Q$provider\E\/|\Q$theirs\E\/)?\Q$model\E(?:-\d{8}|-\d{4}-\d\d-\d\d)?$/ } keys %$litellm;
		return $litellm->{ $names[0] } if @names;
	}
	return {};
}

sub litellm_rate
{
	my ($entry, $meter) = @_;
	return rate(($entry->{search_context_cost_per_query}{search_context_size_medium} // 0) * 1000) if $meter eq 'web_search_requests';
	my $key = $litellm_key{$meter};
	my @tiers = map { [ $entry->{$_} * 1e6, /_above_(\d+)k_tokens$/ && $1 * 1000 ] } sort grep { /^\Q$key\E_above_\d+k_tokens$/ } keys %$entry;
	return rate(defined $entry->{$key} ? $entry->{$key} * 1e6 : undef, @tiers);
}

sub holds
{
	my ($rule, $name) = @_;
	my ($word, $value) = %$rule;
	return scalar grep { holds($_, $name) } @$value if $word eq 'or';
	return !grep { !holds($_, $name) } @$value if $word eq 'and';
	return $name =~ /$value/i if $word eq 'regex';
	my %pattern = (equals => qr/^\Q$value\E$/i, starts_with => qr/^\Q$value\E/i, ends_with => qr/\Q$value\E$/i, contains => qr/\Q$value\E/i);
	return $name =~ $pattern{$word};
}

sub genai_prices
{
	my ($provider, $model, $day) = @_;
	my ($found) = grep { holds($_->{match}, $model) } @{ $genai{ $genai_id{$provider} // $provider }{models} };
	return $found->{prices} unless ref $found->{prices} eq 'ARRAY';
	my ($last) = grep { ($_->{constraint}{start_date} // '') le $day } reverse @{ $found->{prices} };
	return $last->{prices};
}

sub genai_rate
{
	my ($prices, $meter) = @_;
	my $rate = $prices->{ $genai_key{$meter} };
	return ref $rate ? rate($rate->{base}, map { [ $_->{price}, $_->{start} ] } @{ $rate->{tiers} }) : rate($rate);
}

my %read;
my @wrong;
foreach my $price (@{ $seed->{prices} })
{
	my $source = $price->{source} // $seed->{source};
	my $day = substr($price->{valid_from}, 0, 10);
	# Meters on which they differ, and whom the list follows; else a page says the price.
	my %settled;
	foreach my $part (grep { /: / } split /; /, $source)
	{
		my ($meters, $follows) = $part =~ /^([a-z0-9_, ]+): (.+)$/ or next;
		$settled{$_} = $follows =~ /^(LiteLLM|genai-prices) alone$/ ? $1 : 'a page' foreach split /, /, $meters;
	}
	if ($source !~ /^(LiteLLM of \S+ and )?genai-prices of /)
	{
		$read{page}++;
		next;
	}
	foreach my $meter (sort keys %{ $price->{rates} })
	{
		my $follows = $settled{$meter} // 'both';
		next if $follows eq 'a page';
		my $ours = shipped_rate($price->{rates}{$meter});
		my $theirs = genai_rate(genai_prices($price->{provider}, $price->{model}, $source =~ /^genai/ ? $day : $genai_date), $meter);
		push @wrong, "$price->{model} $meter: $ours here, $theirs in genai-prices" if $ours ne $theirs && $follows ne 'LiteLLM';
		$read{genai}++;
		next if $source =~ /^genai/ || $follows eq 'genai-prices';
		$theirs = litellm_rate(litellm_entry($price->{provider}, $price->{model}), $meter);
		push @wrong, "$price->{model} $meter: $ours here, $theirs in LiteLLM's" if $ours ne $theirs;
		$read{litellm}++;
	}
}
note("rates found in genai-prices: $read{genai}, in LiteLLM's: $read{litellm}; prices of pages: $read{page}");
cmp_ok($read{litellm}, '>', 500, 'most of the list stands in both catalogues');
is_deeply(\@wrong, [], 'and every rate that it has from them is the one they have');

# A class is a share of the price beside it, meter by meter.
my ($shares, @off) = (0);
foreach my $price (grep { $_->{service_class} } @{ $seed->{prices} })
{
	my ($factor) = $price->{source} =~ /^([\d.]+) × standard/;
	my ($beside) = grep { $_->{provider} eq $price->{provider} && $_->{model} eq $price->{model} && !$_->{service_class} && $_->{valid_from} le $price->{valid_from} } reverse @{ $seed->{prices} };
	foreach my $meter (keys %{ $price->{rates} })
	{
		my ($share, $whole) = map { [ map { ref $_ ? $_->{price} : $_ } ref $_ eq 'ARRAY' ? @$_ : $_ ] } $price->{rates}{$meter}, $beside->{rates}{$meter};
		push @off, "$price->{model} $meter" if rate(@$share[0], map { [ $_, 1 ] } @$share[1 .. $#$share]) ne rate($whole->[0] * $factor, map { [ $_ * $factor, 1 ] } @$whole[1 .. $#$whole]);
		$shares++;
	}
}
cmp_ok($shares, '>', 200, 'classes have rates');
is_deeply(\@off, [], 'which are the share of standard that they say');

done_testing();
