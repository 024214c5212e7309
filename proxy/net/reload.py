"""Reads policies again, on SIGHUP and when their files change; a bad policy keeps the one in use and shouts.

Invariant: what an editor or a copy has written half is not taken over by the timer: half a policy may be sound and
protect half. Files count once they are the same at two looks in a row; SIGHUP says that they are complete.
"""

import time
from collections.abc import Callable
from typing import Final, final

from proxy.config import ConfigFaults, Settings, policy_sources
from proxy.documents import Fault, Faults
from proxy.observe import count, log, set_gauge
from proxy.policy.load import load
from proxy.policy.rules import Policy
from proxy.policy.values import form

Sources = tuple[tuple[str, str], ...]
Recall = Callable[[str], str | None]


@final
class PolicyFiles:
    """The policy of a running process. recall: what the vault remembers. faults: of the files as they are now; none
    while the policy in use is theirs."""

    def __init__(
        self, settings: Settings, sources: Sources, policy: Policy, changed: Callable[[Policy], None], recall: Recall
    ) -> None:
        self._settings: Final = settings
        self._sources: Sources | None = sources  # what was last judged; None: they could not be read
        self._seen: Sources | None = sources  # at the last look
        self._changed = changed
        self._recall = recall
        self.policy = policy
        self.faults: tuple[str, ...] = ()
        set_gauge("policy_loaded_timestamp_seconds", time.time())

    def look(self, forced: bool = False) -> None:
        """Read the files; take the policy over if it is another and sound. forced: without waiting for a second look,
        and say so even if it is the same."""
        found = self.news(forced)
        if found is not None:
            self.take(found)

    def news(self, forced: bool = False) -> Sources | None:
        """The files, if they are to be taken over: another policy than that in use, and a sound one."""
        try:
            sources = policy_sources(self._settings)
            settled, self._seen = sources == self._seen, sources
            if not forced and (sources == self._sources or not settled):
                return None
            self._sources = sources
            _refuse_empty(sources)
            policy = load(sources)
            refuse_other_forms(policy, recall=self._recall)
        except Faults as faults:
            if isinstance(faults, ConfigFaults):
                self._sources = self._seen = None
            self.bad(tuple(str(fault) for fault in faults.faults))
            return None
        self.faults = ()
        if policy.digest == self.policy.digest:
            count("policy_reloads", outcome="same")
            log("policy-same", digest=policy.digest[:64])
            return None
        return sources

    def judge(self, sources: Sources) -> tuple[str, ...]:
        """Faults of files that another process has read."""
        try:
            refuse_other_forms(load(sources), recall=self._recall)
        except Faults as faults:
            return tuple(str(fault) for fault in faults.faults)
        return ()

    def take(self, sources: Sources) -> None:
        """Their policy is the one in use from now on."""
        policy = load(sources)
        self.policy = policy
        self.faults = ()
        count("policy_reloads", outcome="loaded")
        set_gauge("policy_loaded_timestamp_seconds", time.time())
        log("policy-loaded", digest=policy.digest[:64])
        self._changed(policy)

    def bad(self, faults: tuple[str, ...]) -> None:
        """Told once for each new set of faults, not at every look."""
        if faults == self.faults:
            return
        self.faults = faults
        count("policy_reloads", outcome="failed")
        for fault in faults:
            log("policy-fault", "error", fault=fault[:500], advice="the policy in use stays until this is mended")


def _refuse_empty(sources: Sources) -> None:
    """Raises Faults. It is far more likely to be half of a copy, or of a mount, than a wish."""
    empty = [path for path, text in sources if not text.strip()]
    if empty:
        raise Faults([Fault(path, 0, "the policy file is empty", "`version: 1` protects nothing") for path in empty])


def refuse_other_forms(policy: Policy, recall: Recall) -> None:
    """Raises Faults for classes whose first values got their tokens in another way than the policy asks for now:
    searches would miss these values, and UNIQUE would not see them."""
    faults: list[Fault] = []
    for name, each in policy.classes.items():
        was, now = recall(f"class {name}"), form(each)
        if was is not None and was != now:
            place = next(((rule.file, rule.line) for rule in policy.rules if rule.class_name == name), ("policy", 0))
            message = f"class '{name}' has values whose tokens were made from {was}; now it would be from {now}"
            faults.append(Fault(*place, message, "put it back; for the new form use a class of another name"))
    if faults:
        raise Faults(faults)


def read_policy(settings: Settings) -> tuple[Sources, Policy]:
    """The policy files and what they say. Raises Faults."""
    sources = policy_sources(settings)
    _refuse_empty(sources)
    return sources, load(sources)
