"""Every series of a dashboard chosen by its variables for cluster and namespace.

Done to finished queries, so that no panel can forget it. What rules record over namespaces has none.
"""

from __future__ import annotations

import re

from dashboards.src import promql

CLUSTER = 'cluster=~"$cluster"'
NAMESPACE = 'namespace=~"$namespace"'


def scoped(expression: str) -> str:
    """The expression with the matchers of the variables in each of its selectors."""
    names = sorted(promql.metrics(expression), key=len, reverse=True)
    if not names:
        return expression
    selector = re.compile(
        rf"(?<![\w.:\"])(?P<name>{'|'.join(names)})(?![\w:\"])(?:\{{(?P<labels>[^{{}}]*)\}})?"
    )
    return selector.sub(_with_matchers, expression)


def _with_matchers(found: re.Match[str]) -> str:
    name, labels = found["name"], found["labels"]
    inside = [labels] if labels else []
    wanted = [CLUSTER] if ":" in name or name.startswith("ALERTS") else [CLUSTER, NAMESPACE]
    inside += [each for each in wanted if each not in (labels or "")]
    return f"{name}{{{','.join(inside)}}}"
