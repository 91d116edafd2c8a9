. /srv/env-tasks
for k in base mine; do
 if [ $k = base ]; then cd /tmp/basewt; make -s with_llvm=no PG_CONFIG=$PG_CONFIG install >/dev/null 2>&1; else /srv/build-tasks; fi
 for s in false true; do echo $k $s $(psql -XqAt -v subruns=$s -f /tmp/tasks_w/perf.sql 2>&1 | tail -1); done; done
