"""What is thought of traces, as MLflow tells and asks for it."""

from __future__ import annotations

from functools import partial

from ropewalk.api.mlflow.message import Message, Nothing
from ropewalk.api.mlflow.route import Call, How, Route
from ropewalk.api.mlflow.traceinfo import AssessmentForm, assessment_of, judgement
from ropewalk.api.mlflow.traces import required
from ropewalk.errors import Invalid
from ropewalk.store.database import Reader, Transaction
from ropewalk.traces import assessment, trace

_PATH = "/mlflow/traces/{trace_id}/assessments"
_ONE = f"{_PATH}/{{assessment_id}}"


class Judged(Message, frozen=True, kw_only=True):
    """A judgement."""

    assessment: AssessmentForm | None = None


class Mask(Message, frozen=True, kw_only=True):
    """Which parts change."""

    paths: list[str] = []


class Change(Message, frozen=True, kw_only=True):
    """`PATCH assessments/...`: the parts that change, and which these are: a list, or names parted by commas."""

    assessment: AssessmentForm | None = None
    update_mask: Mask | str | None = None


class Which(Message, frozen=True, kw_only=True):
    """The ids again, as clients send them."""

    trace_id: str = ""
    assessment_id: str = ""


def create(tx: Transaction, call: Call) -> Judged:
    """Keep a judgement."""
    form: AssessmentForm | None = call.body.assessment
    if form is None:
        raise required("assessment")
    name = call.path["trace_id"]
    made = assessment.add(tx, call.site, trace.get(tx, name).number, name, assessment_of(form))
    return Judged(assessment=judgement(name, made))


def show(reader: Reader, call: Call) -> Judged:
    """Return a judgement."""
    name = call.path["trace_id"]
    found = assessment.get(reader, trace.get(reader, name).number, name, call.path["assessment_id"])
    return Judged(assessment=judgement(name, found))


def update(tx: Transaction, call: Call) -> Judged:
    """Change parts of a judgement."""
    change: Change = call.body
    form, mask = change.assessment, change.update_mask
    if form is None or mask is None:
        raise required("assessment" if form is None else "update_mask")
    parts = _parts(mask)
    name = call.path["trace_id"]
    said = parts & {"feedback", "expectation"}
    made = assessment.update(
        tx,
        call.site,
        trace.get(tx, name).number,
        name,
        call.path["assessment_id"],
        name=form.assessment_name if "assessment_name" in parts else None,
        said=assessment_of(form) if said else None,
        rationale=(form.rationale or "") if "rationale" in parts else None,
        metadata=form.metadata if "metadata" in parts else None,
        valid=form.valid is not False if "valid" in parts else None,
    )
    return Judged(assessment=judgement(name, made))


def _parts(mask: Mask | str) -> frozenset[str]:
    """Return the names of a mask, in snake case: protocol buffers' JSON writes `assessmentName,rationale`."""
    paths = mask.split(",") if isinstance(mask, str) else mask.paths
    parts = frozenset({"assessmentName": "assessment_name"}.get(one.strip(), one.strip()) for one in paths) - {""}
    known = {"assessment_name", "feedback", "expectation", "rationale", "metadata", "valid"}
    if not parts <= known or {"feedback", "expectation"} <= parts:
        raise Invalid(
            "assessment-invalid",
            "An assessment cannot be changed like this.",
            where="update_mask",
            why=f"parts are {', '.join(sorted(known))}, and never both feedback and expectation",
            fix='"update_mask": "feedback,rationale"',
        )
    return parts


def remove(tx: Transaction, call: Call) -> Nothing:
    """Take a judgement back."""
    assessment.delete(tx, trace.get(tx, call.path["trace_id"]).number, call.path["assessment_id"])
    return Nothing()


_route = partial(Route, versions=("3.0",), action="write", how=How.WRITE)
ROUTES = (
    _route(method="POST", path=_PATH, work=create, body=Judged, result=Judged, summary="Assess a trace"),
    Route(
        method="GET",
        path=_ONE,
        work=show,
        how=How.READ,
        body=Which,
        result=Judged,
        action="read",
        versions=("3.0",),
        summary="An assessment of a trace",
    ),
    _route(method="PATCH", path=_ONE, work=update, body=Change, result=Judged, summary="Change an assessment"),
    _route(method="DELETE", path=_ONE, work=remove, body=Which, result=Nothing, summary="Take an assessment back"),
)
