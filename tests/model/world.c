/* SPDX-License-Identifier: BSD-2-Clause */
/* Who and what there is in the model's world. Constants. */
#include "config.h"

#include "model.h"

#define SP "sp.example.com"
#define SP_B "sp-b.example.net"
#define SP_C "sp-c.example.org"

const char *const m_enrolee[M_ENROLEES] = {
	"//" SP "/node-0",   "//" SP "/node-1",	  "//" SP "/node-2",   "//" SP "/node-3",   "//" SP "/node-4",
	"//" SP "/node-5",   "//" SP "/node-6",	  "//" SP "/node-7",   "//" SP "/node-8",   "//" SP "/node-9",
	"//" SP "/node-10",  "//" SP "/node-11",  "//" SP "/node-12",  "//" SP "/node-13",  "//" SP "/node-14",
	"//" SP "/node-15",  "//" SP "/node-16",  "//" SP "/node-17",  "//" SP "/Smeter-1", "//" SP "/in-cse/Cmeter-2",
	"//" SP_B "/node-0", "//" SP_B "/node-1", "//" SP_B "/node-2", "//" SP_B "/node-3", "//" SP_B "/node-4",
	"//" SP_B "/node-5", "//" SP_B "/node-6", "//" SP_B "/node-7", "//" SP_B "/node-8", "//" SP_B "/node-9",
	"//" SP_B "/Sm-1",   "//" SP_B "/Sm-2",	  "//" SP_B "/Sm-3",   "//" SP_B "/Sm-4",   "//" SP_C "/node-0",
	"//" SP_C "/node-1", "//" SP "/enrols-0", "//" SP "/enrols-1", "//" SP "/enrols-2", "//" SP "/enrols-3",
	"//" SP "/enrols-4", "//" SP "/enrols-5", "//" SP "/enrols-6", "//" SP "/enrols-7",
};
const char *const m_sp_of_enrolee[M_ENROLEES] = {
	SP,   SP,   SP,	  SP,	SP,   SP,   SP,	  SP,	SP,   SP,   SP,	  SP,	SP,   SP,   SP,
	SP,   SP,   SP,	  SP,	SP,   SP_B, SP_B, SP_B, SP_B, SP_B, SP_B, SP_B, SP_B, SP_B, SP_B,
	SP_B, SP_B, SP_B, SP_B, SP_C, SP_C, SP,	  SP,	SP,   SP,   SP,	  SP,	SP,   SP,
};
const char *const m_mtf[M_MTFS] = { "mtf.example.com", "mtf-2.example.com", "mtf-3.example.net" };
const char *const m_sps_of_mtf[M_MTFS][2] = { { SP, NULL }, { SP, SP_B }, { SP_B, NULL } };
const bool m_mtf_administers[M_MTFS] = { true, true, false };
const char *const m_target[M_TARGETS] = { "//" SP "/in-cse", "//" SP "/in-cse-2", "//" SP_B "/in-cse",
					  "//" SP_B "/nobody" };
const char *const m_cse[M_CSES] = { "csf.example.com", "csf-2.example.com", "csf-3.example.net", "csf-4.example.net" };
const unsigned m_targets_of_cse[M_CSES] = { 1, 2 | 4, 1 | 4, 0 };
const bool m_cse_configured[M_CSES] = { true, true, true, true };
const char *const m_app[M_APPS] = { "Nmeter", "Nlamp of the hall", "Ra01.com.example.pump" };
