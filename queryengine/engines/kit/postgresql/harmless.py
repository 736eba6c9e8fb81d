"""What of PostgreSQL's catalog no tenant can learn of another from, or do to another with."""

from typing import Final

# fmt: off
HARMLESS_FUNCTIONS: Final = frozenset({
    # They differ from call to call, and that is all.
    "clock_timestamp", "current_query", "currval", "gen_random_uuid", "lastval", "pg_sleep", "pg_sleep_for",
    "pg_sleep_until", "random", "random_normal", "setseed", "timeofday", "uuidv4", "uuidv7",
    # Methods of TABLESAMPLE.
    "bernoulli", "system",
    # They say how a schema is made.
    "pg_available_extension_versions", "pg_available_extensions", "pg_basetype", "pg_char_to_encoding",
    "pg_client_encoding", "pg_collation_actual_version", "pg_collation_for", "pg_collation_is_visible",
    "pg_column_compression", "pg_column_is_updatable", "pg_conversion_is_visible",
    "pg_database_collation_actual_version", "pg_describe_object", "pg_encoding_max_length", "pg_encoding_to_char",
    "pg_extension_update_paths", "pg_function_is_visible", "pg_get_catalog_foreign_keys", "pg_get_constraintdef",
    "pg_get_expr", "pg_get_function_arg_default", "pg_get_function_arguments", "pg_get_function_identity_arguments",
    "pg_get_function_result", "pg_get_function_sqlbody", "pg_get_functiondef", "pg_get_indexdef", "pg_get_keywords",
    "pg_get_object_address", "pg_get_partition_constraintdef", "pg_get_partkeydef", "pg_get_replica_identity_index",
    "pg_get_ruledef", "pg_get_serial_sequence", "pg_get_statisticsobjdef", "pg_get_statisticsobjdef_columns",
    "pg_get_statisticsobjdef_expressions", "pg_get_triggerdef", "pg_get_userbyid", "pg_get_viewdef", "pg_has_role",
    "pg_identify_object", "pg_identify_object_as_address", "pg_index_column_has_property", "pg_index_has_property",
    "pg_indexam_has_property", "pg_opclass_is_visible", "pg_operator_is_visible", "pg_opfamily_is_visible",
    "pg_options_to_table", "pg_partition_ancestors", "pg_partition_root", "pg_partition_tree",
    "pg_relation_is_publishable", "pg_relation_is_updatable", "pg_sequence_last_value", "pg_sequence_parameters",
    "pg_statistics_obj_is_visible", "pg_table_is_visible", "pg_ts_config_is_visible", "pg_ts_dict_is_visible",
    "pg_ts_parser_is_visible", "pg_ts_template_is_visible", "pg_type_is_visible", "pg_typeof",
    # How large something is.
    "pg_column_size", "pg_column_toast_chunk_id", "pg_database_size", "pg_indexes_size", "pg_relation_size",
    "pg_size_bytes", "pg_size_pretty", "pg_table_size", "pg_tablespace_size", "pg_total_relation_size",
    # About the session itself, the server's clock and its time zones.
    "pg_backend_pid", "pg_conf_load_time", "pg_is_in_recovery", "pg_is_other_temp_schema", "pg_jit_available",
    "pg_my_temp_schema", "pg_postmaster_start_time", "pg_show_all_settings", "pg_settings_get_flags",
    "pg_timezone_abbrevs", "pg_timezone_abbrevs_abbrevs", "pg_timezone_abbrevs_zone", "pg_timezone_names",
    "pg_trigger_depth",
    # They compute.
    "pg_input_error_info", "pg_input_is_valid", "pg_lsn", "pg_mcv_list_items", "pg_wal_lsn_diff",
    # Snapshots and numbers of transactions.
    "pg_current_snapshot", "pg_current_xact_id", "pg_current_xact_id_if_assigned", "pg_snapshot_xip",
    "pg_snapshot_xmax", "pg_snapshot_xmin", "pg_visible_in_snapshot", "pg_xact_commit_timestamp", "pg_xact_status",
    "txid_status",
    # How often tables and indexes are used.
    "pg_stat_get_analyze_count", "pg_stat_get_autoanalyze_count", "pg_stat_get_autovacuum_count",
    "pg_stat_get_blocks_fetched", "pg_stat_get_blocks_hit", "pg_stat_get_dead_tuples",
    "pg_stat_get_ins_since_vacuum", "pg_stat_get_last_analyze_time", "pg_stat_get_last_autoanalyze_time",
    "pg_stat_get_last_autovacuum_time", "pg_stat_get_last_vacuum_time", "pg_stat_get_lastscan",
    "pg_stat_get_live_tuples", "pg_stat_get_mod_since_analyze", "pg_stat_get_numscans",
    "pg_stat_get_tuples_deleted", "pg_stat_get_tuples_fetched", "pg_stat_get_tuples_hot_updated",
    "pg_stat_get_tuples_inserted", "pg_stat_get_tuples_newpage_updated", "pg_stat_get_tuples_returned",
    "pg_stat_get_tuples_updated", "pg_stat_get_vacuum_count",
})

HARMLESS_TABLES: Final = frozenset({
    "pg_aggregate", "pg_am", "pg_amop", "pg_amproc", "pg_attrdef", "pg_attribute", "pg_auth_members",
    "pg_available_extension_versions", "pg_available_extensions", "pg_cast", "pg_class", "pg_collation",
    "pg_constraint", "pg_conversion", "pg_database", "pg_default_acl", "pg_depend", "pg_description", "pg_enum",
    "pg_event_trigger", "pg_extension", "pg_foreign_data_wrapper", "pg_foreign_table", "pg_group", "pg_index",
    "pg_indexes", "pg_inherits", "pg_init_privs", "pg_language", "pg_largeobject", "pg_largeobject_metadata",
    "pg_matviews", "pg_namespace", "pg_opclass", "pg_operator", "pg_opfamily", "pg_partitioned_table", "pg_policies",
    "pg_policy", "pg_proc", "pg_publication", "pg_publication_namespace", "pg_publication_rel",
    "pg_publication_tables", "pg_range", "pg_rewrite", "pg_roles", "pg_rules", "pg_seclabel", "pg_seclabels",
    "pg_sequence", "pg_sequences", "pg_settings", "pg_shdepend", "pg_shdescription", "pg_shseclabel",
    "pg_stat_all_indexes", "pg_stat_all_tables", "pg_stat_sys_indexes", "pg_stat_sys_tables",
    "pg_stat_user_indexes", "pg_stat_user_tables", "pg_statio_all_indexes", "pg_statio_all_sequences",
    "pg_statio_all_tables", "pg_statio_sys_indexes", "pg_statio_sys_sequences", "pg_statio_sys_tables",
    "pg_statio_user_indexes", "pg_statio_user_sequences", "pg_statio_user_tables", "pg_statistic_ext", "pg_stats",
    "pg_stats_ext", "pg_stats_ext_exprs", "pg_tables", "pg_tablespace", "pg_timezone_abbrevs",
    "pg_timezone_names", "pg_transform", "pg_trigger", "pg_ts_config", "pg_ts_config_map", "pg_ts_dict",
    "pg_ts_parser", "pg_ts_template", "pg_type", "pg_user", "pg_views",
})

RUNNING_TEXT: Final = frozenset({
    "cursor_to_xml", "cursor_to_xmlschema", "database_to_xml", "database_to_xml_and_xmlschema", "database_to_xmlschema",
    "query_to_xml", "query_to_xml_and_xmlschema", "query_to_xmlschema", "schema_to_xml", "schema_to_xml_and_xmlschema",
    "schema_to_xmlschema", "table_to_xml", "table_to_xml_and_xmlschema", "table_to_xmlschema", "ts_rewrite", "ts_stat",
})
"""They run a text as SQL, or read the table that it names, where nobody has looked at it."""

RUNNING_TEXT_ELSEWHERE: Final = frozenset({
    "connectby", "crosstab", "crosstab2", "crosstab3", "crosstab4", "crosstabn", "dblink", "dblink_exec", "dblink_open",
    "dblink_send_query", "xpath_table",
})
"""The same by extensions of PostgreSQL, in whichever schema they are."""

SHOWING_STATEMENTS: Final = frozenset({"pg_stat_monitor", "pg_stat_statements"})
"""What extensions keep of everybody's statements, as a table and as a function."""
# fmt: on
