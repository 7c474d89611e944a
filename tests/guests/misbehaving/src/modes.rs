//! The list of ways to misbehave, by the moment at which they happen.
//!
//! Each name is a function of the connector and a test of the same name: the connector and the tests both expand this
//! list into uses of those functions, so neither compiles while one is missing.

/// Expands to `$list! { start { … } describe { … } check { … } schema { … } update { … } }`.
macro_rules! modes {
    ($list:ident) => {
        $list! {
            start { endless_loop endless_recursion memory_growth panic sleep }
            describe {
                colliding_fields endless_loop endless_recursion hostile_words huge_name huge_return_value
                name_in_capitals name_missing panic request secret_host silly_rate_limits sleep unknown_host_field
                rate_limits_without_end secret_default_too_long url_as_host version_missing write
            }
            check { endless_loop sleep write }
            schema {
                columns_declared_too_many key_of_many_columns
                column_declared_twice decimal_too_wide endless_loop huge_return_value key_named_twice many_tables
                names_that_fit panic save same_name_twice sleep table_name_too_long write
            }
            update {
                well_behaved
                endless_loop endless_loop_of_calls endless_recursion exit_with_success memory_growth
                panic sleep stack_of_calls trap_in_a_batch
                handles_of_requests handles_of_answers handles_of_timers wait_twice random_flood zeroes_flood
                stdin_flood
                log_control_characters log_flood log_line_too_long log_text_not_utf8 prints
                rows_not_json rows_not_objects rows_not_utf8 row_nested_deep row_too_wide row_too_long
                call_too_long batch_of_many_rows call_of_many_batches column_name_too_long column_names_that_fit
                key_missing key_null key_of_another_type key_twice_in_a_batch value_of_another_type
                table_name_too_long table_names_that_fit tables_too_many table_not_selected
                truncate_with_rows update_without_key
                records_carried records_hoarded records_in_order records_nowhere truncate_with_records
                save_in_a_loop save_not_json save_nested_deep save_too_long save_very_long flush_in_a_loop
                error_of_hostile_words error_too_long
                nothing_but_the_contract odd_requests clock_and_chance
                secret_in_memory secret_in_words protect_without_end
                updates_of_a_large_row columns_of_one_row columns_in_turn columns_of_many_tables
                names_without_rows keyless_rows_nested_deep
            }
        }
    };
}
pub(crate) use modes;
