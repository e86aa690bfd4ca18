"""From Keisei's configuration to a run's manifest."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hantei_api.spec import EvaluationRunSpec
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.keisei.account import lines, table
from hantei_evaluator.suites.shogi.keisei.config import EvaluationConfig, parse_config
from hantei_evaluator.suites.shogi.keisei.migration import Migration, Wanted, migrate

FIXTURES = Path(__file__).parents[4] / "fixtures" / "keisei"
NO_EFFECT = {
    "randomize_positions",
    "timeout_per_game",
    "save_games",
    "evaluation_timeout_per_game",
    "max_evaluation_time_minutes",
    "memory_limit_mb",
    "gpu_limit_percent",
    "update_elo",
    "enable_parallel_execution",
    "process_restart_threshold",
    "clear_cache_after_evaluation",
}
"""What Keisei at commit 735a4f4 accepts without any effect on its evaluation, whatever the strategy."""

STRATEGIES: dict[str, dict[str, Any]] = {
    "single_opponent": {
        "opponent_name": "heuristic",
        "opponent_params": {"depth": 1},
        "play_as_both_colors": True,
        "color_balance_tolerance": 0.1,
    },
    "tournament": {
        "opponent_pool_config": [
            {"name": "random", "type": "random"},
            {"name": "old", "type": "ppo", "checkpoint_path": "./models/a/checkpoint_ts1.pth", "metadata": {"x": 1}},
            {"name": "older", "type": "ppo_agent", "checkpoint_path": "/models/b/checkpoint_ts2.pth"},
        ],
        "num_games_per_opponent": 4,
        "tournament_rounds": 1,
    },
    "ladder": {
        "opponent_pool_config": [
            {"name": "weak", "type": "random", "initial_rating": 1300},
            {"name": "strong", "type": "heuristic", "metadata": {"initial_rating": 1650.5}},
        ],
        "num_games_per_match": 6,
        "num_opponents_to_select": 2,
        "num_opponents_per_evaluation": 3,
        "rating_match_range": 200,
        "elo_config": {"k_factor": 16},
    },
    "benchmark": {
        "suite_config": [
            {
                "name": "endgame",
                "type": "heuristic",
                "metadata": {"initial_fen": "4k4/9/4P4/9/9/9/9/9/4K4 b G 1"},
            },
            {"name": "start", "type": "heuristic"},
        ],
        "num_games_per_benchmark_case": 2,
    },
    "custom": {
        "custom_opponents": [{"name": "a", "type": "random"}, {"name": "b", "type": "heuristic"}],
        "evaluation_mode": "custom_sequence",
        "games_per_opponent": 1,
        "custom_sequence": [{"opponent": "b", "games": 3}, {"opponent": "a"}, {"opponent": "b"}],
    },
}


def migrated(wanted: Wanted | None = None, **fields: Any) -> Migration:
    return migrate(parse_config(yaml.safe_dump({"evaluation": fields})), wanted or Wanted())


def shogi_of(migration: Migration) -> dict[str, Any]:
    suite: dict[str, Any] = migration.manifest["spec"]["suite"]["shogi"]
    return suite


def here(migration: Migration, field: str) -> str:
    return next(each.here for each in migration.accounts if each.field == field)


@pytest.mark.parametrize("name", ["default_config.yaml", "old_config.yaml"])
@pytest.mark.parametrize("tell", [lines, table])
def test_the_report_names_every_field_exactly_once(name: str, tell: Any) -> None:
    migration = migrate(parse_config((FIXTURES / name).read_text()), Wanted())
    told = list(tell(migration))
    for field in EvaluationConfig.model_fields:
        assert sum(bool(re.match(rf" *{field}(:|  )", line)) for line in told) == 1, field


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_becomes_a_manifest_that_validates(strategy: str) -> None:
    migration = migrated(strategy=strategy, strategy_params=STRATEGIES[strategy])
    manifest = yaml.safe_load(yaml.safe_dump(migration.manifest))
    spec = EvaluationRunSpec.model_validate(manifest["spec"])
    assert spec.suite.shogi is not None
    assert spec.suite.shogi.strategy == strategy
    told = {each.field for each in migration.accounts}
    assert {f"strategy_params.{name}" for name in STRATEGIES[strategy]} <= told
    assert len(told) == len(migration.accounts)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_without_parameters_becomes_a_manifest_that_validates(strategy: str) -> None:
    EvaluationRunSpec.model_validate(migrated(strategy=strategy).manifest["spec"])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_fields_without_effect_in_keisei_are_said_to_have_had_none(strategy: str) -> None:
    accounts = migrated(strategy=strategy, strategy_params=STRATEGIES[strategy]).accounts
    without = {each.field for each in accounts if each.there and not each.field.startswith("strategy_params.")}
    assert without >= NO_EFFECT
    assert without - NO_EFFECT <= {"num_games", "opponent_type", "max_moves_per_game"}


def test_a_single_opponent_by_name() -> None:
    migration = migrated(
        num_games=7, max_moves_per_game=300, random_seed=5, strategy_params={"opponent_name": "random"}
    )
    assert shogi_of(migration) == {
        "strategy": "single_opponent",
        "opponent": {"type": "random"},
        "numGames": 7,
        "maxMoves": 300,
        "openings": "shipped",
        "eloRegistry": "elo_ratings.json",
    }
    assert migration.manifest["spec"]["seed"] == 5


def test_a_single_opponent_by_path_is_that_checkpoint_which_keisei_did_not_load() -> None:
    params = {"opponent_name": "previous", "opponent_path": "models/a/checkpoint_ts1.pth"}
    migration = migrated(Wanted(claim="shared"), strategy_params=params)
    assert shogi_of(migration)["opponent"] == {"type": "checkpoint", "checkpoint": "opponents-1/checkpoint_ts1.pth"}
    assert migration.manifest["spec"]["inputs"] == [
        {"name": "opponents-1", "pvc": {"claimName": "shared", "path": "models/a"}}
    ]
    there = next(each.there for each in migration.accounts if each.field == "strategy_params.opponent_path")
    assert "not loaded" in there


def test_a_tournament_spreads_its_games_over_the_opponents() -> None:
    params = {"opponent_pool_config": STRATEGIES["tournament"]["opponent_pool_config"]}
    suite = shogi_of(migrated(strategy="tournament", num_games=20, strategy_params=params))
    assert suite["numGames"] == 7
    assert [each.get("checkpoint") for each in suite["opponents"]] == [
        None,
        "opponents-1/checkpoint_ts1.pth",
        "opponents-2/checkpoint_ts2.pth",
    ]


def test_a_ladder_plays_the_opponents_that_keisei_would() -> None:
    suite = shogi_of(migrated(strategy="ladder", strategy_params=STRATEGIES["ladder"]))
    assert suite["ladder"] == {"maxOpponents": 2}
    assert suite["numGames"] == 6
    assert [(each["name"], each["rating"]) for each in suite["opponents"]] == [("weak", 1300), ("strong", 1650.5)]


def test_a_benchmark_with_positions_has_them_as_cases() -> None:
    migration = migrated(strategy="benchmark", strategy_params=STRATEGIES["benchmark"])
    assert shogi_of(migration)["benchmark"] == {"gamesPerCase": 2, "cases": "benchmark/cases.jsonl"}
    assert [case["name"] for case in migration.cases] == ["endgame", "start"]
    assert migration.cases[0]["sfen"] == "4k4/9/4P4/9/9/9/9/9/4K4 b G 1"
    assert any("cases.jsonl" in remark for remark in migration.remarks)


def test_a_benchmark_against_a_network_plays_each_position_once_because_the_game_would_be_the_same() -> None:
    cases = [
        {
            "name": "end game",
            "checkpoint_path": "m/a.pth",
            "metadata": {"initial_fen": "4k4/9/4P4/9/9/9/9/9/4K4 b G 1"},
        },
        {"name": "end/game", "type": "random"},
    ]
    params = {"suite_config": cases, "num_games_per_benchmark_case": 5}
    migration = migrated(strategy="benchmark", strategy_params=params)
    assert shogi_of(migration)["benchmark"]["gamesPerCase"] == 1
    assert [case["name"] for case in migration.cases] == ["end-game", "end-game-2"]
    assert here(migration, "strategy_params.num_games_per_benchmark_case") == "suite.shogi.benchmark.gamesPerCase: 1"


def test_a_benchmark_of_opponents_becomes_a_sequence_against_them() -> None:
    cases = [{"name": "easy", "type": "random"}, {"name": "hard", "type": "ppo", "checkpoint_path": "a.pth"}]
    migration = migrated(
        strategy="benchmark", strategy_params={"suite_config": cases, "num_games_per_benchmark_case": 3}
    )
    suite = shogi_of(migration)
    assert suite["strategy"] == "custom"
    assert suite["sequence"] == [{"opponent": "easy", "numGames": 3}, {"opponent": "hard", "numGames": 3}]
    assert suite["opponents"][1]["checkpoint"] == "opponents-1/a.pth"
    assert migration.manifest["spec"]["inputs"][0]["pvc"]["path"] == "a.pth"


def test_a_custom_sequence_is_played_in_its_order() -> None:
    suite = shogi_of(migrated(strategy="custom", strategy_params=STRATEGIES["custom"]))
    assert [(step["opponent"], step["numGames"]) for step in suite["sequence"]] == [("b", 3), ("a", 1), ("b", 1)]


def test_names_that_results_can_not_carry_are_changed_and_stay_distinct() -> None:
    pool = [{"name": "step 1"}, {"name": "step/1"}, {"name": "agent"}, {"name": "将棋"}, {}]
    suite = shogi_of(migrated(strategy="tournament", strategy_params={"opponent_pool_config": pool}))
    assert [each["name"] for each in suite["opponents"]] == [
        "step-1",
        "step-1-2",
        "agent-2",
        "unnamed",
        "tournament_opponent_4",
    ]


def test_without_randomised_positions_games_start_from_the_start_position() -> None:
    suite = shogi_of(migrated(randomize_positions=False))
    assert (suite["openings"], suite["openingPlies"]) == ("random", 0)


def test_without_elo_there_is_no_registry() -> None:
    assert "eloRegistry" not in shogi_of(migrated(update_elo=False))
    assert "eloRegistry" not in shogi_of(migrated(elo_registry_path=None))


def test_limits_that_the_file_names_become_thresholds_and_clocks() -> None:
    spec = migrated(memory_limit_mb=700, gpu_limit_percent=50, max_evaluation_time_minutes=1).manifest["spec"]
    assert spec["sla"] == {"memoryOverheadBytes": 700_000_000, "gpuUtilizationPercent": 50}
    assert spec["clocks"] == {"wallSeconds": 60, "startSeconds": 60}
    assert migrated(max_evaluation_time_minutes=30).manifest["spec"]["clocks"] == {"wallSeconds": 300}
    assert migrated().manifest["spec"].keys().isdisjoint({"sla", "clocks"})


def test_a_cuda_device_becomes_a_gpu() -> None:
    assert migrated(temp_agent_device="cuda:0").manifest["spec"]["resources"] == {"gpus": 1}


def test_what_keiseis_config_does_not_know_comes_from_the_command_line() -> None:
    wanted = Wanted(claim="shared", path="models/a/checkpoint_ts2000.pth", name="spring-2000")
    migration = migrated(wanted)
    assert migration.manifest["metadata"] == {"name": "spring-2000"}
    assert migration.manifest["spec"]["checkpoint"] == {
        "pvc": {"claimName": "shared", "path": "models/a/checkpoint_ts2000.pth"},
        "trainingStep": 2000,
    }
    assert migration.remarks == []


def test_what_had_to_be_guessed_is_said() -> None:
    remarks = "\n".join(migrated(agent_id="Spring Run!").remarks)
    assert "--checkpoint-claim" in remarks
    assert "--checkpoint-path" in remarks
    assert "'Spring Run!' is no name of a run, so it is spring-run" in remarks


def test_wandb_is_logged_to_where_keisei_logged() -> None:
    text = "evaluation: {wandb_log_eval: true}\nwandb: {project: p, entity: e}\nlogging: {run_name: r}"
    migration = migrate(parse_config(text), Wanted())
    assert migration.manifest["spec"]["wandb"] == {
        "project": "p",
        "entity": "e",
        "group": "r",
        "secretName": "hantei-wandb",
    }
    assert any("hantei-wandb" in remark for remark in migration.remarks)


def test_fields_that_nobody_knows_are_reported() -> None:
    migration = migrated(evaluation_device="cpu", strategy_params={"lookahead": 3})
    assert here(migration, "evaluation_device").startswith("none")
    assert here(migration, "strategy_params.lookahead") == "none: strategy single_opponent has no such parameter"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"opponent_type": "scripted"}, "opponent.type is 'scripted', which must be one of random, heuristic, ppo"),
        (
            {"strategy": "tournament", "strategy_params": {"opponent_pool_config": [{}, {"type": "ppo"}]}},
            r"opponent_pool_config\[1\]\.checkpoint_path is None, which must be a path where type is ppo",
        ),
        (
            {"strategy": "tournament", "strategy_params": {"opponent_pool_config": "all"}},
            "opponent_pool_config is 'all', which must be a list",
        ),
        (
            {"strategy": "tournament", "strategy_params": {"opponent_pool_config": ["random"]}},
            r"opponent_pool_config\[0\] is 'random', which must be a mapping",
        ),
        (
            {"strategy": "tournament", "strategy_params": {"num_games_per_opponent": 0}},
            "num_games_per_opponent is 0, which must be a whole number of at least 1",
        ),
        (
            {"strategy": "tournament", "strategy_params": {"opponent_pool_config": [{}] * 33}},
            "spec.suite.shogi.opponents would be .* at most 32",
        ),
        (
            {"strategy": "custom", "strategy_params": {"evaluation_mode": "custom_sequence", "custom_sequence": [3]}},
            r"custom_sequence\[0\] is 3",
        ),
        ({"strategy": "benchmark", "strategy_params": {"suite_config": ["x"]}}, r"suite_config\[0\] is 'x'"),
        ({"strategy_params": {"play_as_both_colors": "yes"}}, "play_as_both_colors is 'yes'"),
        ({"strategy_params": {"opponent_path": "../x.pth"}}, r"'\.\./x\.pth', which must be a path inside the volume"),
        ({"num_games": 200_000}, "numGames would be 200000: .* less than or equal to 100000"),
        ({"max_moves_per_game": 5000}, "maxMoves would be 5000: .* less than or equal to 2000"),
        ({"random_seed": -1}, "spec.seed would be -1: .* greater than or equal to 0"),
    ],
)
def test_what_can_not_be_played_is_refused_with_field_value_and_limit(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(EvaluationError, match=words) as raised:
        migrated(**fields)
    assert raised.value.exit_code == 64
