"""Keisei's evaluation configuration."""

from pathlib import Path

import pytest
import yaml

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.keisei.config import EvaluationConfig, parse_config

FIXTURES = Path(__file__).parents[4] / "fixtures" / "keisei"

KEISEI_DEFAULTS = """
enable_periodic_evaluation=True evaluation_interval_timesteps=50000 strategy=single_opponent num_games=20
max_concurrent_games=4 timeout_per_game=None strategy_params={} opponent_type=random max_moves_per_game=500
randomize_positions=True random_seed=None save_games=True save_path=None log_file_path_eval=eval_log.txt log_level=INFO
wandb_log_eval=False update_elo=True elo_registry_path=elo_ratings.json agent_id=None opponent_id=None
previous_model_pool_size=5 enable_in_memory_evaluation=True model_weight_cache_size=5 enable_parallel_execution=True
process_restart_threshold=100 temp_agent_device=cpu clear_cache_after_evaluation=True
enable_background_tournaments=False enable_advanced_analytics=False enable_enhanced_opponents=False
max_evaluation_time_minutes=30 evaluation_timeout_per_game=300 max_concurrent_evaluations=1
enable_performance_monitoring=True memory_limit_mb=1000 cpu_limit_percent=80.0 gpu_limit_percent=80.0
"""
"""Fields and defaults of Keisei's EvaluationConfig at commit 735a4f4."""


def test_fields_and_defaults_are_keiseis() -> None:
    expected = dict(each.split("=") for each in KEISEI_DEFAULTS.split())
    assert {name: str(value) for name, value in EvaluationConfig().model_dump().items()} == expected


@pytest.mark.parametrize("name", ["default_config.yaml", "old_config.yaml"])
def test_a_config_of_any_age_loads_and_dumps_as_what_it_said(name: str) -> None:
    text = (FIXTURES / name).read_text()
    body = yaml.safe_load(text)
    section = body.get("evaluation", body)
    assert parse_config(text).evaluation.model_dump(exclude_unset=True) == section


def test_an_old_config_has_keiseis_defaults_for_what_it_lacks() -> None:
    evaluation = parse_config((FIXTURES / "old_config.yaml").read_text()).evaluation
    assert (evaluation.num_games, evaluation.strategy, evaluation.memory_limit_mb) == (10, "single_opponent", 1000)
    assert evaluation.model_extra == {"evaluation_device": "cpu"}


def test_of_the_whole_configuration_names_and_wandb_are_read_too() -> None:
    config = parse_config((FIXTURES / "default_config.yaml").read_text())
    assert (config.run_name, config.model_dir, config.wandb_project) == ("spring", "models/", "keisei-shogi-rl")
    assert config.unread_sections == ["env", "training", "parallel", "display"]


@pytest.mark.parametrize("text", ["evaluation:", "evaluation: {}", "env: {seed: 1}\nevaluation: {}"])
def test_an_empty_section_is_all_defaults(text: str) -> None:
    assert parse_config(text).evaluation == EvaluationConfig()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("num_games: 0", "num_games is 0: Input should be greater than 0"),
        ("evaluation: {num_games: -3}", r"evaluation\.num_games is -3: Input should be greater than 0"),
        ("evaluation_interval_timesteps: 0", "evaluation_interval_timesteps is 0: Input should be greater than 0"),
        ("max_moves_per_game: many", "max_moves_per_game is 'many': Input should be a valid integer"),
        ("gpu_limit_percent: 101", "gpu_limit_percent is 101: Input should be less than or equal to 100"),
        ("cpu_limit_percent: 0", "cpu_limit_percent is 0: Input should be greater than 0"),
        ("strategy: swiss", "strategy is 'swiss': Input should be 'single_opponent', 'tournament', 'ladder'"),
        ("log_level: LOUD", "log_level is 'LOUD': Input should be 'DEBUG'"),
        ("strategy_params: [1]", r"strategy_params is \[1\]"),
        ("num_games: 0\nmemory_limit_mb: 0", "num_games is 0.*; memory_limit_mb is 0"),
        ("env: {}", "has no section evaluation, only env"),
        ("evaluation: [1]", r"evaluation is \[1\]"),
        ("- 1", "holds a list, which must be a mapping"),
        ("", "holds nothing, which must be a mapping"),
        ("1: 2", "keys that are no text"),
        ("a: [", "is no YAML"),
        ("a: !!python/object:os.system {}", "is no YAML"),
        ("logging: {run_name: 3}\nevaluation: {}", "logging.run_name is 3"),
    ],
)
def test_a_bad_value_is_refused_with_field_value_and_limit(text: str, words: str) -> None:
    with pytest.raises(EvaluationError, match=words) as raised:
        parse_config(text)
    assert raised.value.reason is Reason.INVALID_TASK
    assert raised.value.exit_code == 64


def test_a_log_level_in_small_letters_is_keiseis_too() -> None:
    assert parse_config("log_level: debug").evaluation.log_level == "DEBUG"
