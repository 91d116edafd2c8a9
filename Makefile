# cost_ledger: make, make install, make installcheck (see README.md)

EXTENSION   = cost_ledger
MODULE_big  = cost_ledger

# The control file is the only place a version is typed.  (A comment after a value would leave blanks in it.)
EXTVERSION  = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" cost_ledger.control)

# Listed, not globbed: the order is the order of dependency.
OBJS = \
	src/money.o \
	src/bounds.o \
	src/json_column.o \
	src/usage.o \
	src/usage_rules.o \
	src/usage_find.o \
	src/usage_read.o \
	src/ledger.o \
	src/as_owner.o \
	src/once.o \
	src/key_space.o \
	src/event_key.o \
	src/visible.o \
	src/price_cache.o \
	src/pricing.o \
	src/rollup.o \
	src/measure.o \
	src/delta.o \
	src/period.o \
	src/put.o \
	src/consume.o \
	src/seen_rollup.o \
	src/remake.o \
	src/run_tree.o \
	src/filter.o \
	src/budget_labels.o \
	src/budget_definition.o \
	src/row.o \
	src/budget_balance.o \
	src/budget_query.o \
	src/budget_request.o \
	src/budget_wait.o \
	src/budget_gate.o \
	src/budget_decision.o \
	src/budget_hold.o \
	src/budget_refusal.o \
	src/reserve.o \
	src/budget_settle.o \
	src/hold.o \
	src/call_trigger.o \
	src/job.o \
	src/guard.o \
	src/limit.o \
	src/time_zone.o \
	src/similar.o \
	src/display_width.o \
	src/sketch.o \
	src/sketch_hooks.o \
	src/summary.o \
	src/cost_ledger.o

# A folder for each noun: NAME.sql is code, the extension's own; NAME.ledger.sql
# makes tables and views, which are the user's.
PIECES = \
	sql/ledger/schema.sql \
	sql/grant/caller.sql \
	sql/grant/visible.sql \
	sql/ledger/help.sql \
	sql/usage/usage.sql \
	sql/price/price.sql \
	sql/price/model.sql \
	sql/price/import.sql \
	sql/price/import_litellm.sql \
	sql/price/import_genai.sql \
	sql/price/export.sql \
	sql/price/seed.sql \
	sql/summary/summary.sql \
	sql/rollup/rollup.sql \
	sql/rollup/run_tree.sql \
	sql/rollup/quarantine.sql \
	sql/rollup/check.sql \
	sql/rollup/input_part.sql \
	sql/rollup/reversal.sql \
	sql/ledger/ledger.sql \
	sql/ledger/lock.sql \
	sql/call/filter.sql \
	sql/call/call.sql \
	sql/call/find.sql \
	sql/call/partition.sql \
	sql/call/retention.sql \
	sql/call/rerate.sql \
	sql/call/reattribute.sql \
	sql/call/explain.sql \
	sql/report/histogram.sql \
	sql/report/estimate.sql \
	sql/report/breakdown.sql \
	sql/report/efficiency.sql \
	sql/report/spend_rate.sql \
	sql/report/user.sql \
	sql/report/spend.sql \
	sql/report/drill.sql \
	sql/report/explain_spend.sql \
	sql/report/compare_spend.sql \
	sql/report/annotation.sql \
	sql/report/dashboard.sql \
	sql/report/tier.sql \
	sql/budget/budget.sql \
	sql/budget/refusal.sql \
	sql/budget/forecast.sql \
	sql/budget/velocity.sql \
	sql/budget/suggest.sql \
	sql/alert/alert.sql \
	sql/alert/threshold.sql \
	sql/job/job.sql \
	sql/ledger/guard.sql \
	sql/grant/grant.sql \
	sql/grant/public.sql

LEDGER = \
	sql/ledger/ledger.ledger.sql \
	sql/ledger/lock.ledger.sql \
	sql/grant/grant.ledger.sql \
	sql/price/price.ledger.sql \
	sql/price/import.ledger.sql \
	sql/rollup/reversal.ledger.sql \
	sql/report/tier.ledger.sql \
	sql/call/call.ledger.sql \
	sql/rollup/rollup.ledger.sql \
	sql/rollup/run_tree.ledger.sql \
	sql/rollup/quarantine.ledger.sql \
	sql/call/retention.ledger.sql \
	sql/call/rerate.ledger.sql \
	sql/call/reattribute.ledger.sql \
	sql/rollup/live.ledger.sql \
	sql/rollup/cube.ledger.sql \
	sql/rollup/subrun.ledger.sql \
	sql/rollup/input_part.ledger.sql \
	sql/budget/budget.ledger.sql \
	sql/budget/refusal.ledger.sql \
	sql/alert/alert.ledger.sql \
	sql/report/cube.ledger.sql \
	sql/report/label.ledger.sql \
	sql/report/input_part.ledger.sql \
	sql/report/breakdown.ledger.sql \
	sql/report/efficiency.ledger.sql \
	sql/report/prompt_cache.ledger.sql \
	sql/report/report.ledger.sql \
	sql/report/run.ledger.sql \
	sql/report/session.ledger.sql \
	sql/report/user.ledger.sql \
	sql/report/now.ledger.sql \
	sql/report/chargeback.ledger.sql \
	sql/report/customer.ledger.sql \
	sql/report/invoice.ledger.sql \
	sql/report/estimate.ledger.sql \
	sql/report/annotation.ledger.sql \
	sql/alert/signal.ledger.sql \
	sql/job/job.ledger.sql \
	sql/ledger/problem.ledger.sql \
	sql/ledger/guard.ledger.sql \
	sql/report/vocabulary.ledger.sql

DATA_built  = sql/$(EXTENSION)--$(EXTVERSION).sql
DATA        = $(wildcard sql/upgrade/*--*.sql)
EXTRA_CLEAN = sql/$(EXTENSION)--*.sql results regression.diffs regression.out \
	output_iso tmp_check tmp_check_iso

# Globbed: a forgotten test is worse than no order.  --outputdir=. lets specs find expected/ on 15.
REGRESS        = $(sort $(basename $(notdir $(wildcard test/sql/*.sql))))
REGRESS_OPTS   = --inputdir=test --load-extension=cost_ledger
ISOLATION      = $(sort $(basename $(notdir $(wildcard test/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test --outputdir=. --load-extension=cost_ledger
TAP_TESTS      = 1
PROVE_TESTS    = test/t/*.pl

PG_CPPFLAGS = -Isrc -DCOST_LEDGER_VERSION='"$(EXTVERSION)"'
# -Wextra's two exceptions are idioms of PostgreSQL's own headers and tables.
PG_CFLAGS  += -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): $(wildcard src/*.h) Makefile

# The script is the pieces in order; three marker lines are replaced by the
# ledger's own pieces, by the shipped price list, and by what help() knows: the
# noun of an object is the folder of the piece that makes it.
sql/$(EXTENSION)--$(EXTVERSION).sql: $(PIECES) $(LEDGER) prices/seed.json cost_ledger.control Makefile
	cat $(LEDGER) > $@.ledger
	awk 'match($$0, /^CREATE (FUNCTION|PROCEDURE|AGGREGATE|TABLE|VIEW|TYPE) cost_ledger\.[a-z0-9_]+/) { \
		name = substr($$0, 1, RLENGTH); sub(/.*\./, "", name); split(FILENAME, folder, "/"); \
		if (!seen[name]++) { printf "%s            (\047%s\047, \047%s\047)", separator, name, folder[2]; separator = ",\n" } } \
		END { print "" }' $(PIECES) $(LEDGER) > $@.nouns
	cat $(PIECES) \
	| sed -e '/^@LEDGER@$$/{r $@.ledger' -e 'd}' \
	      -e '/^@SEED_PRICES@$$/{r prices/seed.json' -e 'd}' \
	      -e '/^@NOUNS@$$/{r $@.nouns' -e 'd}' \
	      -e 's/@VERSION@/$(EXTVERSION)/g' > $@.new
	rm $@.ledger $@.nouns
	mv $@.new $@

META.json: META.json.in cost_ledger.control
	sed 's/@VERSION@/$(EXTVERSION)/g' META.json.in > $@

all: META.json

# docs/reference.md, from the comments of the installed extension, on the server of
# PGHOST etc., in a database made for it.
.PHONY: reference
reference:
	script/reference > docs/reference.md.new || { rm docs/reference.md.new; exit 1; }
	mv docs/reference.md.new docs/reference.md

# The chart library of the report page, anew from its lock file; and the picture of
# the page in README.md, from the sample data, on the server of PGHOST etc.
.PHONY: vendor report-picture
vendor:
	cd dashboards/report && npm ci --ignore-scripts --no-audit --no-fund && npm run vendor
	cp dashboards/report/node_modules/echarts/LICENSE dashboards/report/echarts.LICENSE
	cp dashboards/report/node_modules/echarts/NOTICE dashboards/report/echarts.NOTICE
	cp dashboards/report/node_modules/zrender/LICENSE dashboards/report/zrender.LICENSE
	cp dashboards/report/node_modules/tslib/LICENSE.txt dashboards/report/tslib.LICENSE
report-picture:
	script/report-picture docs/report.png

# The report page of the ledger of PGHOST, PGDATABASE etc.; and its test, with
# Chromium and an accessibility checker from npm.
.PHONY: report check-report
report:
	script/report
check-report:
	cd test/report && npm ci --ignore-scripts --no-audit --no-fund
	$(MAKE) installcheck REGRESS= ISOLATION= PROVE_TESTS=test/t/report.pl

# The tests on other versions, each in a Debian of its own in a folder.
.PHONY: check-17 check-18
check-17 check-18: check-%:
	script/test-version $*

# A ledger of PostgreSQL 15, taken there by pg_upgrade.
.PHONY: upgrade-17 upgrade-18
upgrade-17 upgrade-18: upgrade-%:
	script/test-version --upgrade-from 15 $*

# A long search for bytes that hurt the type summary.
.PHONY: fuzz-summary
fuzz-summary:
	test/fuzz/run

# The test of exactness on a million calls, on the server of PGHOST etc., in a
# database made for it.
.PHONY: exactness-million
exactness-million:
	psql -Xqd postgres -c 'DROP DATABASE IF EXISTS cost_ledger_exactness' -c 'CREATE DATABASE cost_ledger_exactness'
	psql -Xqd cost_ledger_exactness -c 'CREATE EXTENSION cost_ledger'
	psql -Xqd cost_ledger_exactness -v ON_ERROR_STOP=1 -v rows=1000000 -f test/sql/exactness.sql
	psql -Xqd postgres -c 'DROP DATABASE cost_ledger_exactness'

# The crash harness in its long form, with the installed extension: FAULTS=1000,
# SEED=42 to repeat a run.  As root, with a full disk among the faults.
.PHONY: crash
crash:
	PATH="$(bindir):$$PATH" test/crash/crash $(if $(FAULTS),--faults=$(FAULTS)) $(if $(SEED),--seed=$(SEED))

# Reserves from many clients at once, with the installed extension and a server of
# its own: CLIENTS=1,16,64, RESERVES=10000 of each client, SEED=7.
.PHONY: budget-stress
budget-stress:
	PATH="$(bindir):$$PATH" test/stress/budgets $(if $(CLIENTS),--clients=$(CLIENTS)) $(if $(RESERVES),--reserves=$(RESERVES)) $(if $(SEED),--seed=$(SEED))

# What other tools would ask of a ledger: Cube and Evidence from npm, LibreOffice from
# Debian, with the installed extension, in a database made for it on the server of
# PGHOST etc.
.PHONY: check-bi
check-bi:
	dashboards/check/run

# The JSON of the Grafana dashboards and what Metabase imports, from their sources.
.PHONY: dashboards
dashboards:
	dashboards/grafana/build
	dashboards/metabase/build
