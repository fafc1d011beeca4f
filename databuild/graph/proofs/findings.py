"""The findings of proofs: concrete counter-examples, and claims that could not be decided."""

from __future__ import annotations

from databuild.tuples import NamedTuple


class MissingInput(NamedTuple):
    """A counter-example to "every input has a producer".

    Attributes:
        job_label: The job.
        template: The template of the input.
        output: An output of the job.
        needed: The input that it needs and that nothing produces; empty if the template yields no valid value for it.
        fault: The fault of the input, in words; may be empty.
    """

    job_label: str
    template: str
    output: str
    needed: str
    fault: str = ""

    def __str__(self) -> str:
        if not self.needed:
            return f"{self.job_label}: {self.output!r} has no valid inputs; {self.fault}"
        text = f"{self.job_label}: {self.output!r} needs {self.needed!r}, by {self.template!r}, and no job produces it"
        return f"{text}; {self.fault}" if self.fault else text


class Chain(NamedTuple):
    """A counter-example to "nothing needs itself".

    Attributes:
        refs: Refs, each of which needs the next one. The last is the first again, unless the chain is endless.
        is_endless: True if the chain goes on in the same way without end.
    """

    refs: tuple[str, ...]
    is_endless: bool = False

    def __str__(self) -> str:
        chain = " needs ".join(map(repr, self.refs[:_SHOWN]))
        if self.is_endless:
            return f"{chain}, and so on without end; `bounds` of the job end such a chain"
        if len(self.refs) > _SHOWN:
            chain += f" needs ... needs {self.refs[-1]!r}"
        return f"{self.refs[0]!r} needs itself: {chain}"


class Undecided(NamedTuple):
    """A claim that was neither proven nor refuted.

    Attributes:
        subject: The jobs, or a job and its template, in words.
        reason: The reason, in words.
        samples: Refs that look like counter-examples but are none, or whose check would decide; may be empty.
    """

    subject: str
    reason: str
    samples: tuple[str, ...] = ()

    def __str__(self) -> str:
        samples = f"; look at {', '.join(map(repr, self.samples))}" if self.samples else ""
        return f"{self.subject}: {self.reason}{samples}"


_SHOWN = 8
