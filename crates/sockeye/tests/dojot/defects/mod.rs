//! What the original does wrong, one test each (compat/dojot.md 11 and its marks "do not copy"): Sockeye does not.
//!
//! | section | what is wrong there | test |
//! | --- | --- | --- |
//! | 0, 4.1 | names of one letter, a last `;` that is left out | `messages::names_of_one_letter_and_no_last_semicolon` |
//! | 0, 3.4, 11 | 4001 never comes; other errors are 4999 | `codes::every_documented_close_code_comes_with_its_symbol` |
//! | 0 | no 426, and a plain request uses up its ticket | `tickets::a_plain_request_uses_up_no_ticket` |
//! | 2, 11 | two tickets within a second are one | `connecting::no_two_tickets_are_alike` |
//! | 2 | tokens are not verified; some are 500 | `tickets::who_has_a_token_that_counts_gets_a_ticket` |
//! | 3.1 | a Close without code and reason | `connecting::every_close_has_a_code_and_a_reason` |
//! | 3.1 | a wrong path is accepted | `connecting::a_wrong_path_is_told` |
//! | 3.1 | no heartbeat: gateways cut idle topics | `operation::an_idle_connection_is_pinged` |
//! | 3.2 | `]=`, a second `?`, repeated parameters | `connecting::an_index_in_a_filter_is_part_of_it`, `a_second_question_mark_is_part_of_a_filter`, `repeated_parameters_are_told` |
//! | 3.3 | a tenant reads topics of others | `connecting::no_tenant_reads_anothers_topics` |
//! | 3.3 | a tenant that is no text, and a topic that cannot be, hang | `tickets::who_has_a_token_that_counts_gets_a_ticket`, `connecting::a_topic_that_cannot_be_is_empty` |
//! | 3.3 | opening a topic makes it | `kafka::topics_of_others_are_shown_as_they_are` |
//! | 3.4 | a reason beyond 123 bytes | `connecting::a_long_reason_is_cut` |
//! | 3.5 | with an expired token a connection never ends | `connecting::an_expired_token_gets_no_ticket`, `codes::a_connection_that_lived_long_enough_is_closed_with_4408` |
//! | 4.5, 5 | inherited names are fields | `messages::inherited_names_are_no_fields` |
//! | 4.5 | `in` is a regular expression, found wrong at each message | `messages::values_are_text_and_expressions_are_checked` |
//! | 4.6 | a condition rewrites the message | `messages::a_filter_never_changes_a_message` |
//! | 5 | a name twice: the last wins; text below a selector drops the message | `messages::selectors_are_merged_and_drop_no_message` |
//! | 6, 11 | rules are shared that differ | `messages::each_client_has_its_own_filter` |
//! | 6 | messages are printed anew | `messages::messages_are_sent_as_they_came` |
//! | 7, 11 | a backlog of others, doubles when others come and go | `operation::every_client_sees_what_comes_from_its_connection_on` |
//! | 7, 11 | servers split the partitions | `operation::each_of_two_servers_shows_all_partitions` |
//! | 7, 11 | unbounded buffers | `operation::clients_that_do_not_read_cost_no_memory` |
//! | 7 | 503 for 30 s after the start | `operation::a_server_serves_as_soon_as_it_listens` |
//! | 7 | sockets are cut by a stop | `operation::a_server_that_stops_says_so` |
//! | 7, 11 | a violation of the protocol ends the process | `operation::a_violation_of_the_protocol_ends_its_socket_only` |
//! | 9 | tickets and secrets in the log | `operation::no_ticket_and_no_secret_is_in_the_log` |
//! | 10 | raw characters of a query | `connecting::raw_characters_of_a_query_are_understood` |
//! | 11: #2007, #2045, #2081, #2094, #2073 | outages of Redis: tickets hang, 500, no way back | `operation::an_outage_of_the_registry_is_told_and_ends_with_it` |
//! | 11: #1825, #2024, #2030 | outages of Kafka: no way back, doubles | `operation::an_outage_of_kafka_loses_and_doubles_nothing` |
//! | 11: #1635, #1647, #1727 | numbers, and 0 | `messages::numbers_are_numbers_and_zero_is_one` |
//! | 11: #1651, #1658 | blanks in names | `messages::names_may_have_blanks` |
//! | 11: #1637, #1668 | truth values | `messages::truth_values_can_be_asked_for` |
//! | 11: #1989, #2107 | health | `operation::health_is_told` |

mod connecting;
mod messages;
mod operation;

const C: &str = "app.c";
