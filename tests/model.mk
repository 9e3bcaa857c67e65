# SPDX-License-Identifier: BSD-2-Clause
# tests/model: random operations against a model of the rules
check_PROGRAMS += tests/model/model
TESTS += tests/model/model
tests_model_model_SOURCES = tests/model/run.c tests/model/run.h tests/model/drive.c tests/model/drive.h tests/model/model.c tests/model/model.h \
	tests/model/model_ki.c tests/model/world.c tests/model/check.c tests/model/ops_push.c tests/model/ops_ask.c tests/model/ops_life.c
tests_model_model_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_model_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_model_model_LDADD = $(MTF_RIG_LIBS) mas/libmas.la
