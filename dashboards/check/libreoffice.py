#!/usr/bin/env python3
"""Reads views of the ledger through LibreOffice's own PostgreSQL driver, as Base and
Calc do: each comes with its rows, money as a number, a time as a time."""
import os
import subprocess
import sys
import tempfile
import time

import uno
from com.sun.star.beans import PropertyValue

VIEWS = {
    "cost_by_day": "cost", "cost_per_run_by_day": "p95_cost", "cost_per_user_by_month": "mean_cost", "cost_by_task_type": "mean_cost_per_task",
    "week_over_week": "change_ratio", "most_expensive_run": "cost", "chargeback_by_month": "cost", "margin_by_feature": "margin", "margin_by_customer": "margin",
    "budget_status": "limit_amount", "daily_summary": "share",
}


def start(folder):
    pipe = f"cost_ledger_{os.getpid()}"
    office = subprocess.Popen(
        ["soffice", "--headless", "--norestore", "--nologo", f"-env:UserInstallation=file://{folder}", f"--accept=pipe,name={pipe};urp;"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    for _ in range(120):
        try:
            return office, resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
        except Exception:
            time.sleep(0.5)
    os.killpg(office.pid, 15)
    sys.exit("LibreOffice did not start")


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        office, context = start(folder)
        try:
            drivers = context.ServiceManager.createInstanceWithContext("com.sun.star.sdbc.DriverManager", context)
            where = " ".join(f"{key}={os.environ[name]}" for key, name in (("host", "PGHOST"), ("port", "PGPORT"), ("dbname", "PGDATABASE")) if name in os.environ)
            user = PropertyValue(Name="user", Value=os.environ.get("PGUSER", ""))
            password = PropertyValue(Name="password", Value=os.environ.get("PGPASSWORD", ""))
            connection = drivers.getConnectionWithInfo(f"sdbc:postgresql:{where}", (user, password))
            listed = connection.getMetaData().getTables(None, "cost_ledger", "%", ("VIEW",))
            names = set()
            while listed.next():
                names.add(listed.getString(3))
            for view, number in VIEWS.items():
                result = connection.createStatement().executeQuery(f'SELECT "{number}", "starts_at" FROM "cost_ledger"."{view}" WHERE "{number}" IS NOT NULL')
                rows, total, years = 0, 0.0, set()
                while result.next():
                    rows += 1
                    total += result.getDouble(1)
                    years.add(result.getTimestamp(2).Year)
                told = connection.createStatement().executeQuery(f'SELECT sum("{number}") FROM "cost_ledger"."{view}"')
                told.next()
                if view not in names or not rows or abs(total - told.getDouble(1)) > 1e-6 * max(1, abs(total)) or max(years) < 2000:
                    print(f"{view}: {rows} rows, {number} adds up to {total}, and {told.getString(1)} in SQL; listed: {view in names}")
                    failed += 1
            connection.close()
            print(f"LibreOffice: {len(VIEWS)} views")
        finally:
            os.killpg(office.pid, 15)
            office.wait()
    sys.exit(1 if failed else 0)


main()
