"""What is to be said of the fields of Keisei's evaluation section, beside what a run's spec makes of them."""

from types import MappingProxyType

NO_EFFECT_IN_KEISEI = MappingProxyType(
    {
        "timeout_per_game": "nothing reads it; the whole evaluation gets 300 s, by a time-out that can't interrupt the games",
        "randomize_positions": "every game starts from the one start position",
        "save_games": "no game record is written",
        "update_elo": "ratings are read, and never updated",
        "enable_parallel_execution": "games are played one after the other; the parallel executor has no caller",
        "process_restart_threshold": "there are no worker processes",
        "clear_cache_after_evaluation": "nothing reads it",
        "max_evaluation_time_minutes": "nothing reads it; the whole evaluation gets 300 s, by a time-out that can't interrupt the games",
        "evaluation_timeout_per_game": "nothing reads it; the whole evaluation gets 300 s, by a time-out that can't interrupt the games",
        "memory_limit_mb": "memory is held against a fixed 500 MB",
        "gpu_limit_percent": "GPU utilisation is held against a fixed 80 %",
    }
)
"""Fields that Keisei accepts at commit 735a4f4 and its evaluation doesn't act on, and why."""

NO_COUNTERPART = MappingProxyType(
    {
        "enable_periodic_evaluation": "a run is one evaluation; what starts runs is not in it",
        "evaluation_interval_timesteps": "a run is one evaluation; what starts runs is not in it",
        "max_concurrent_games": "all games advance together, with one forward pass for each network and ply",
        "timeout_per_game": "suite.shogi.maxMoves bounds a game, clocks.wallSeconds the evaluation",
        "log_file_path_eval": "the log is the pod's: kubectl logs",
        "log_level": "the log is the pod's: kubectl logs",
        "opponent_id": "an opponent's id is its checkpoint's file name, or its name among suite.shogi.opponents",
        "previous_model_pool_size": "a run names its opponents; the pool belongs to the training",
        "enable_in_memory_evaluation": "each pod loads each network once",
        "model_weight_cache_size": "each pod loads each network once",
        "enable_parallel_execution": "all games advance together, always",
        "process_restart_threshold": "each evaluation has its own process",
        "clear_cache_after_evaluation": "each evaluation has its own process",
        "enable_background_tournaments": "every run is computed beside the training, in a pod of its own",
        "enable_advanced_analytics": "hantei report writes the analysis from the stored games",
        "enable_enhanced_opponents": "a run names its opponents",
        "evaluation_timeout_per_game": "suite.shogi.maxMoves bounds a game, clocks.wallSeconds the evaluation",
        "max_concurrent_evaluations": "the chart's evaluations.maxConcurrent bounds it for the cluster",
        "enable_performance_monitoring": "the service level readings (sla) are always taken",
        "cpu_limit_percent": "resources.cpu bounds the pod's cores",
    }
)
"""Fields for which a run's spec has no place, and what does their work instead."""
