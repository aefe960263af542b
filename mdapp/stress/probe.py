"""Whether a full run can be valid at all, found out in seconds and not after half an hour.

A phase that reaches its cap before the deadline is invalid, and the cap is small unless the user
says otherwise. So each phase that writes is tried for five seconds, and what it did is compared
with what the whole deadline would need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mdapp.errors import InputError
from mdapp.stress.bulk import RECORD, TRANSFER
from mdapp.stress.folder import WorkFolder
from mdapp.stress.meeting import Meeting
from mdapp.stress.passes import Pass
from mdapp.stress.plan import EASY_SHARE, GIB, HARD_SHARE, POSIX, Plan

PROBE_S = 5.0


def check_caps(meeting: Meeting, folder: WorkFolder, plan: Plan,
               tell: Callable[[str], None]) -> None:
    """Try the phases that write; collective.

    Raises
    ------
    InputError
        `--max-bytes` or `--files` would end one before its deadline.
    """
    caps = {"easy-write": (plan.easy_transfers, TRANSFER / EASY_SHARE),
            "hard-write": (plan.records, RECORD / HARD_SHARE),
            "meta-easy-create": (plan.easy_files, 0.0),
            "meta-hard-create": (plan.hard_files, 0.0)}
    wanted = tuple(p for p in plan.phases if p in caps)
    trial = Pass(meeting, folder, replace(plan, deadline_s=PROBE_S, phases=wanted, apis=(POSIX,)))
    short = []
    for phase in trial.run():
        cap, bytes_each = caps[phase.name]
        needed = phase.count / max(phase.seconds, 1e-9) * plan.deadline_s
        tell(f"  {phase.name}: {needed:.0f} operations a rank in {plan.deadline_s:g} s, at most "
             f"{cap} allowed")
        if needed > cap:
            short.append((phase.name, needed, needed * bytes_each * meeting.size))
    trial.remove()
    if short:
        nbytes = max(b for _, _, b in short)
        files = max((n for name, n, _ in short if name.startswith("meta")), default=0.0)
        fix = [f"--max-bytes {1.2 * nbytes / GIB:.0f}GiB"] * (nbytes > 0)
        fix += [f"--files {1.2 * files:.0f} (and --max-bytes for them)"] * (files > 0)
        raise InputError(f"full: {', '.join(name for name, _, _ in short)} would reach the cap "
                         f"before {plan.deadline_s:g} s and be invalid; say at least "
                         f"{' and '.join(fix)}, or take the profile quick")
