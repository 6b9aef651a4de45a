"""The whole of ``project.yaml``: sources, features, target, model, and how they are run; checked without any data."""

from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from include.contract.partition import Grain
from include.contract.step_names import StepName
from include.errors import listed, near
from include.spec.execution import ScheduleSpec, ServingSpec
from include.spec.features import FeatureSetSpec, JoinSpec, TargetSpec
from include.spec.lineage import check_lineage, moments_before_prediction
from include.spec.resources import NEEDED_BY_ALL, ExecutionSpec
from include.spec.sources import SourceSpec
from include.spec.strict import Name, StrictModel
from include.spec.training import EvaluationSpec, ModelSpec, SplitSpec


class OwnerSpec(StrictModel):
    """Who is responsible for the project."""

    team: str
    """Name of the team."""
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    """Address for questions."""


class ProjectSpec(StrictModel):
    """One machine-learning project: the whole of ``project.yaml``."""

    name: Name
    """The same as the project's folder."""
    title: str
    """Name for people: title of each DAG's documentation."""
    description: str
    """What is predicted, at what moment, and for whom, in a sentence or two."""
    owner: OwnerSpec
    """Who is responsible for the project; the team is the owner of its DAGs."""
    timezone: str
    """IANA name; partitions are calendar months or days in this timezone."""
    grain: Grain
    """Length of one partition: ``month`` or ``day``."""
    start: date
    """First day of the first partition."""
    end: date | None = None
    """First day after the last partition; left out for a project without an end."""
    schedule: ScheduleSpec
    """When DAGs run by themselves."""
    sources: Annotated[dict[Name, SourceSpec], Field(min_length=1)]
    """Where rows come from, by name."""
    feature_set: FeatureSetSpec
    """Joins and features."""
    target: TargetSpec
    """What is predicted."""
    model: ModelSpec
    """The model and its search."""
    split: SplitSpec
    """The training window and its parts."""
    evaluation: EvaluationSpec
    """Gates, slices and intervals."""
    execution: ExecutionSpec
    """CPU, memory, time limits and retries of each step."""
    serving: ServingSpec
    """The served model."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            message = f"'{value}' is no IANA timezone; write one like America/New_York or UTC"
            raise ValueError(message) from error
        return value

    @model_validator(mode="after")
    def _parts_fit(self) -> "ProjectSpec":
        if self.end is not None and self.end <= self.start:
            message = f"end is {self.end}, which is not after start {self.start}"
            raise ValueError(message)
        # Names first: what comes after looks sources and columns up, and a KeyError would be no message for a user.
        self._source("feature_set.base", self.feature_set.base)
        for number, join in enumerate(self.feature_set.joins):
            self._check_join(f"feature_set.joins[{number}]", join)
        self._check_target()
        for column in self.evaluation.slices:
            _known_name("evaluation.slices", column, set(self.base.columns))
        for step in self.execution.steps:
            _known_name("execution.steps", step, {word.value for word in StepName})
        missing = [name for name in NEEDED_BY_ALL if getattr(self.execution.default, name) is None]
        if missing:
            message = f"execution.default leaves out {listed(missing)}; every step needs them"
            raise ValueError(message)
        check_lineage(self.sources, self.feature_set, self.target)
        return self

    @property
    def base(self) -> SourceSpec:
        """The source whose rows predictions are made for."""
        return self.sources[self.feature_set.base]

    def sources_of_task(self, source: str | None) -> tuple[str, ...]:
        """
        The names of the sources that one task of step ``ingest`` reads, in the order of the spec.

        :param source: the one source of a task for it alone; None for the task of all that have no task of their own.
        """
        return (source,) if source else tuple(name for name, one in self.sources.items() if not one.own_task)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the declared features, in the order of the spec, which is that of the features table."""
        return tuple(self.feature_set.columns)

    def _source(self, where: str, name: str) -> SourceSpec:
        _known_name(where, name, set(self.sources))
        return self.sources[name]

    def _check_join(self, where: str, join: JoinSpec) -> None:
        joined = self._source(f"{where}.source", join.source)
        if join.source == self.feature_set.base:
            message = f"{where} joins '{join.source}' to itself; history of the base needs no join"
            raise ValueError(message)
        for left, right in join.on.items():
            _known_name(f"{where}.on", left, set(self.base.columns) | set(self.base.times))
            _known_name(f"{where}.on", right, set(joined.columns) | set(joined.times))
            # What a row is joined by selects its values: a key that is known too late leaks into every joined column.
            if left not in moments_before_prediction(self.base, self.feature_set):
                message = f"{where}.on uses '{left}', which is known only after the prediction is made"
                raise ValueError(message)

    def _check_target(self) -> None:
        _known_name("target.column", self.target.column, set(self.base.columns))
        taken = set(self.base.columns) | set(self.base.times) | set(self.feature_set.columns)
        if self.target.name in taken:
            message = f"target.name is '{self.target.name}', the name of a column, a time or a feature; choose another"
            raise ValueError(message)


def _known_name(where: str, name: str, known: set[str]) -> None:
    if name not in known:
        message = f"{where} is '{name}', which does not exist; known: {listed(known)}.{near(name, known)}"
        raise ValueError(message)
