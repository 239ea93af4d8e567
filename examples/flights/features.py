"""Builds what is known an hour before a scheduled departure, and the answer that comes when the flight lands."""

import polars as pl

ASKED_MINUTES_BEFORE = 60
"""The question is asked so long before the scheduled departure; nobody left that early (the record is 43 minutes)."""
REPORT_MINUTE = 51
"""Airports report the weather of an hour at this minute of it."""
WEATHER_HOURS_MAX = 6
READINGS_KEPT_MAX = 3
RECENT_MINUTES = 180
LATE_MINUTES = 15
WIND_MPH_MAX = 200.0

LEAKS = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")
"""Columns that are written after departure: never a feature of their own flight."""

WORDS = ("carrier", "origin")
WHOLE = ("departure_minute", "planned_minutes", "weekday", "distance", "departures_hour")
REAL = (
    "temp",
    "humid",
    "wind_dir",
    "wind_speed",
    "precip",
    "pressure",
    "visib",
    "plane_age",
    "seats",
    "recent_delay",
)
FEATURES = WORDS + WHOLE + REAL
TARGET = "late"

_WEATHER = ("temp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib")
_NEW_YORK_WINTER = -5
_NEW_YORK_SUMMER_MINUTES = -240


def build(flights: pl.DataFrame, weather: pl.DataFrame, planes: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """One row per flight in order of the question: `flight_id`, `asked_at`, FEATURES, `known_at`, `late`.

    Times are UTC without zone, in microseconds. `late` and `known_at` are null for flights that never landed where
    they were meant to (cancelled, diverted). Floats may be null; words and whole numbers never are.
    """
    rows = _weather_known(_scheduled(flights, airports), weather)
    rows = rows.join(planes, on="tailnum", how="left", maintain_order="left")
    rows = _recent_delay(rows)
    rows = rows.with_columns(
        (2013 - pl.col("plane_year")).alias("plane_age"),
        pl.len().over("origin", "time_hour").alias("departures_hour"),
        (pl.col("arr_delay") > LATE_MINUTES).cast(pl.Int64).alias(TARGET),
        (pl.col("departs_at") + pl.duration(minutes=pl.col("planned_minutes") + pl.col("arr_delay"))).alias("known_at"),
    )
    return rows.select(
        "flight_id",
        "asked_at",
        *WORDS,
        *(pl.col(name).cast(pl.Int64) for name in WHOLE),
        *(pl.col(name).cast(pl.Float64) for name in REAL),
        "known_at",
        TARGET,
    ).sort("asked_at", "flight_id")


def landed(rows: pl.DataFrame) -> pl.DataFrame:
    """Only the rows with an answer: cancelled and diverted flights are neither late nor in time."""
    return rows.filter(pl.col(TARGET).is_not_null())


def before(rows: pl.DataFrame, days: int) -> pl.DataFrame:
    """Rows whose answer was known before the last `days` days begin: nothing of them comes from the rows of `last`."""
    return rows.filter(pl.col("known_at") < _cut(rows, days))


def last(rows: pl.DataFrame, days: int) -> pl.DataFrame:
    """Rows asked within the last `days` days."""
    return rows.filter(pl.col("asked_at") >= _cut(rows, days))


def examples(rows: pl.DataFrame) -> pl.DataFrame:
    """What a model may see: FEATURES and the target, without identity and times."""
    return rows.select(*FEATURES, TARGET)


def _cut(rows: pl.DataFrame, days: int) -> pl.Expr:
    return pl.lit(rows["asked_at"].max()) - pl.duration(days=days)


def _scheduled(flights: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """Adds what the timetable says: when it leaves, how long it takes, and when the question is asked."""
    departs_at = pl.col("time_hour") + pl.duration(minutes=pl.col("sched_dep_time") % 100)
    rows = flights.with_columns(
        departs_at.alias("departs_at"),
        (departs_at - pl.duration(minutes=ASKED_MINUTES_BEFORE)).alias("asked_at"),
        _clock("sched_dep_time").alias("departure_minute"),
        pl.date(2013, pl.col("month"), pl.col("day")).dt.weekday().alias("weekday"),
        pl.format(
            "2013-{}-{}/{}{}/{}-{}",
            pl.col("month").cast(pl.String).str.zfill(2),
            pl.col("day").cast(pl.String).str.zfill(2),
            "carrier",
            "flight",
            "origin",
            "dest",
        ).alias("flight_id"),
    )
    return _planned_minutes(rows, airports)


def _planned_minutes(rows: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """Gate to gate by the timetable; both clocks are local, so the destination's hours from New York come off."""
    rows = rows.join(airports, left_on="dest", right_on="faa", how="left", maintain_order="left")
    utc = pl.col("departs_at").dt.hour().cast(pl.Int64) * 60 + pl.col("departs_at").dt.minute().cast(pl.Int64)
    summer = (pl.col("departure_minute") - utc) % 1440 == _NEW_YORK_SUMMER_MINUTES % 1440
    without_summer = pl.col("dst").fill_null("A") != "A"
    ahead = (pl.col("tz").fill_null(_NEW_YORK_WINTER) - _NEW_YORK_WINTER) * 60
    ahead = ahead - pl.when(summer & without_summer).then(60).otherwise(0)
    clocks = _clock("sched_arr_time") - pl.col("departure_minute")
    return rows.with_columns(((clocks - ahead) % 1440).alias("planned_minutes"))


def _clock(column: str) -> pl.Expr:
    """Minutes since midnight of a clock reading written as hhmm."""
    return pl.col(column) // 100 * 60 + pl.col(column) % 100


def _weather_known(rows: pl.DataFrame, weather: pl.DataFrame) -> pl.DataFrame:
    """Joins the last report of the origin made before the question; older than six hours counts as unknown."""
    reports = (
        weather.select(
            "origin",
            (pl.col("time_hour") + pl.duration(minutes=REPORT_MINUTE)).alias("reported_at"),
            *_WEATHER,
        )
        .sort("reported_at")
        .with_columns(
            # One reading of 1,048 mph stands in the published table.
            pl.when(pl.col("wind_speed") <= WIND_MPH_MAX).then(pl.col("wind_speed").round(1)).alias("wind_speed"),
            # Thermometers fail for an hour or two now and then; what was read before them stands.
            pl.col("temp", "humid").forward_fill(limit=READINGS_KEPT_MAX).over("origin"),
        )
    )
    return rows.sort("asked_at").join_asof(
        reports,
        left_on="asked_at",
        right_on="reported_at",
        by="origin",
        tolerance=f"{WEATHER_HOURS_MAX}h",
        check_sortedness=False,
    )


def _recent_delay(rows: pl.DataFrame) -> pl.DataFrame:
    """Mean delay in minutes of the departures that left the same airport in the three hours before the question.

    Known in time: each of them has left, so its own delay is a fact. Null when none has (early morning).
    """
    left = (
        rows.filter(pl.col("dep_delay").is_not_null())
        .with_columns((pl.col("departs_at") + pl.duration(minutes=pl.col("dep_delay"))).alias("left_at"))
        .sort("left_at")
        .select(
            "origin",
            "left_at",
            pl.col("dep_delay").cum_sum().over("origin").alias("minutes"),
            pl.int_range(1, pl.len() + 1).over("origin").alias("count"),
        )
    )
    rows = _sums_until(rows, left, pl.col("asked_at"), "until")
    rows = _sums_until(rows, left, pl.col("asked_at") - pl.duration(minutes=RECENT_MINUTES), "from")
    count = pl.col("count_until") - pl.col("count_from")
    minutes = pl.col("minutes_until") - pl.col("minutes_from")
    return rows.with_columns(pl.when(count > 0).then(minutes / count).round(1).alias("recent_delay"))


def _sums_until(rows: pl.DataFrame, left: pl.DataFrame, at: pl.Expr, name: str) -> pl.DataFrame:
    """Adds `minutes_NAME` and `count_NAME`: sums over the departures of the origin strictly before the time `at`."""
    joined = (
        rows.with_columns(at.alias("at"))
        .sort("at")
        .join_asof(
            left,
            left_on="at",
            right_on="left_at",
            by="origin",
            allow_exact_matches=False,
            check_sortedness=False,
        )
    )
    return joined.with_columns(
        pl.col("minutes").fill_null(0).alias(f"minutes_{name}"),
        pl.col("count").fill_null(0).alias(f"count_{name}"),
    ).drop("at", "left_at", "minutes", "count")
