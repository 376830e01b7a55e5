"""No module imports another one that imports it, at any depth, inside functions included."""

from __future__ import annotations

from graphlib import TopologicalSorter

import grimp


def test_no_module_is_in_an_import_cycle():
    graph = grimp.build_graph("proxy_keras", "tuner", "export", "serve", cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    # Raises CycleError, which names the modules of a cycle.
    TopologicalSorter(imports).prepare()
