%% SPDX-License-Identifier: BSD-2-Clause
%% An independent client: Erlang/OTP's diameter, whose decoder is strict, as MTF and CSE against a running MAS and as CSF against
%% a running MTF, over TLS 1.3. It performs each command that they serve, provokes each result code that they have, and derives the keys
%% by itself with Erlang's crypto. m2m_dia.erl checks each answer's grammar. Prints the codes that each server gave; test_peer.py has
%% the table.
%%
%% erl -noshell -pa DIR -run m2m_peer main MAS-HOST MAS-PORT MTF-HOST MTF-PORT REALM PKI DOMAIN SP CSE-ID
%% The peers are erl-mtf, erl-cse, erl-csf, erl-few and erl-slow .DOMAIN; PKI has NAME.pem/.key for each and diameter-ca.pem; as nodes,
%% erl-node, erl-stranger and erl-lost.pem, and device-ca.pem. erl-packed is an MTF that has to send its keys in packages, which it signs
%% with erl-packed-package.pem for mas-package.pem; the openssl command makes them.
-module(m2m_peer).
-export([main/1]).
-include_lib("diameter/include/diameter.hrl").
-import(m2m_dia, [codes/1, success/1, refused/2, refused/3]).

-define(RP, 4031590913).
-define(RKM, 4031590914).
-define(SAK, 4031590915).
-define(ROOT_KEY, 21).
-define(ASSOCIATION_KEY, 32).
-define(FULL_AFTER, 400).  % batches of 32 that the test's small store surely cannot take

-record(env, {mas, mtf_server, realm, pki, mtf, cse, domain, sp, target, fetched}).

main([Mas, Port, Mtf, MtfPort, Realm, Pki, Domain, Sp, Target]) ->
    m2m_dia:start(),
    Env = #env{mas = Mas, mtf_server = Mtf, realm = Realm, pki = Pki, mtf = "erl-mtf." ++ Domain, cse = "erl-cse." ++ Domain,
               domain = Domain, sp = Sp, target = Target},
    P = list_to_integer(Port),
    Fetched = lists:sort(fun(#{'Key-Name' := A}, #{'Key-Name' := B}) -> A =< B end,
                         [new_key(Env, "fetched-" ++ integer_to_list(I)) || I <- lists:seq(1, 5)]),
    m2m_served:start(Fetched),
    m2m_served:answers(<<>>, [4182]),  % the first fetch, not the second
    m2m_dia:connect(mtf, Env#env.mtf, Realm, Pki, Mas, P, [{rkm, m2m_rkm, ?RKM, m2m_served}]),
    m2m_dia:connect(cse, Env#env.cse, Realm, Pki, Mas, P, [{sak, m2m_sak, ?SAK, m2m_served}, {rkm, m2m_rkm, ?RKM}]),
    m2m_dia:connect(packed, host(Env, packed), Realm, Pki, Mas, P, [{rkm, m2m_rkm, ?RKM, m2m_served}]),
    [m2m_dia:connect(N, host(Env, N), Realm, Pki, Mtf, list_to_integer(MtfPort), [{rp, m2m_rp, ?RP}]) || N <- [csf, few, slow]],
    m2m_dia:connect(mas, host(Env, mas), Realm, Pki, Mtf, list_to_integer(MtfPort), [{rkm, m2m_rkm, ?RKM}]),
    Failed = m2m_dia:run(tests(), Env#env{fetched = Fetched}),
    io:format("asked ~s~s~n", [Mas, [[" ", atom_to_list(C)] || C <- m2m_served:asked()]]),
    [io:format("bad ~0p~n", [B]) || B <- m2m_served:bad()],
    [io:format("codes ~s~s~n", [Host, [[" ", integer_to_list(C)] || C <- m2m_dia:seen(Host)]]) || Host <- [Mas, Mtf]],
    [diameter:stop_service(S) || S <- [mtf, cse, packed, csf, few, slow, mas]],
    halt(min(Failed, 1)).

host(#env{domain = D}, Name) -> "erl-" ++ atom_to_list(Name) ++ "." ++ D.

tests() ->
    [{notify, fun notify/1}, {push, fun push/1}, {push_again_is_the_same, fun push_again/1}, {push_other_content_conflicts, fun push_conflict/1},
     {push_batch_of_32, fun push_batch/1}, {push_33_is_refused, fun push_33/1}, {push_mixed_batch, fun push_mixed/1},
     {push_all_bad_in_two_ways, fun push_two_ways/1},
     {push_wrong_usage, fun push_wrong_usage/1}, {push_for_another_mas, fun push_other_mas/1},
     {push_of_another_provider, fun push_other_provider/1}, {push_expired, fun push_expired/1},
     {push_until_2045, fun push_2045/1}, {push_short_key, fun push_short_key/1}, {push_without_key, fun push_without_key/1},
     {push_key_and_package, fun push_key_and_package/1}, {push_bad_package, fun push_bad_package/1},
     {push_package, fun push_package/1}, {push_old_package, fun push_old_package/1}, {push_package_of_another_session, fun push_moved_package/1},
     {push_without_its_package, fun push_unpacked/1},
     {push_unknown_avp, fun push_unknown_avp/1}, {push_unknown_avp_in_the_key, fun push_unknown_inside/1},
     {push_wrong_length, fun push_wrong_length/1},
     {push_with_what_others_add, fun push_with_extras/1}, {push_by_a_cse, fun push_by_cse/1}, {push_to_a_stranger, fun push_stranger/1},
     {fetch_from_a_mas, fun fetch/1},
     {ask, fun ask/1}, {ask_twice_is_the_same, fun ask_twice/1}, {ask_batch_of_32, fun ask_batch/1},
     {ask_unknown, fun ask_unknown/1}, {ask_mixed, fun ask_mixed/1}, {ask_as_another_cse, fun ask_other_cse/1},
     {ask_wrong_usage, fun ask_wrong_usage/1}, {ask_old_sequence, fun ask_old_sequence/1}, {ask_bad_name, fun ask_bad_name/1},
     {revoke, fun revoke/1}, {revoke_256_that_are_not_there, fun revoke_unknown/1}, {revoke_257, fun revoke_257/1},
     {revoke_for_no_such_reason, fun revoke_bad_reason/1}, {revoke_bad_name, fun revoke_bad_name/1}, {revoke_by_a_cse, fun revoke_by_cse/1},
     {fetch_all, fun fetch_all/1}, {fetch_mixed, fun fetch_mixed/1}, {fetch_unknown, fun fetch_unknown/1},
     {fetch_made_up_cursor, fun fetch_cursor/1}, {fetch_names_and_cursor, fun fetch_both/1}, {fetch_33, fun fetch_33/1},
     {enrol, fun enrol/1}, {enrol_without_instruction, fun enrol_stranger/1}, {enrol_for_no_mas, fun enrol_lost/1},
     {round_garbage, fun round_garbage/1}, {round_of_no_handshake, fun round_unknown/1}, {round_0, fun round_0/1},
     {round_giant, fun round_giant/1}, {rounds_without_end, fun rounds_without_end/1}, {round_twice, fun round_twice/1},
     {round_unknown_avp, fun round_unknown_avp/1},
     {handshakes_at_once, fun handshakes_at_once/1}, {rounds_too_fast, fun rounds_too_fast/1},
     {fetched, fun fetched/1}, {notified, fun notified/1}, {push_until_full, fun push_until_full/1}].

%% --- pushes ----------------------------------------------------------------------------------------------------------

push(Env) ->
    K = new_key(Env, "push"),
    success(kpr(Env, [K])).

push_again(Env) ->
    K = new_key(Env, "again"),
    success(kpr(Env, [K])),
    success(kpr(Env, [K])).

push_conflict(Env) ->
    K = new_key(Env, "conflict"),
    success(kpr(Env, [K])),
    refused(5504, kpr(Env, [K#{'Keying-Material' => crypto:strong_rand_bytes(32)}])),
    success(kpr(Env, [K])).

push_batch(Env) ->
    success(kpr(Env, [new_key(Env, "batch-" ++ integer_to_list(I)) || I <- lists:seq(1, 32)])).

push_33(Env) ->
    Last = #diameter_avp{data = {m2m_rkm, 'M2M-Key', norm(new_key(Env, "much-33"))}}, % past what the encoder would allow
    refused(5009, 1106, kpr(Env, [new_key(Env, "much-" ++ integer_to_list(I)) || I <- lists:seq(1, 32)], #{'AVP' => [Last]})).

push_mixed(Env) ->
    Good = new_key(Env, "mixed-1"),
    Bad = (new_key(Env, "mixed-2"))#{'Security-Usage-Id' => ?ASSOCIATION_KEY},
    A = kpr(Env, [Good, Bad]),
    [2002] = codes(A),
    [Status] = maps:get('Key-Status', A),
    true = maps:get('Key-Name', Status) =:= maps:get('Key-Name', Bad),
    [5507] = codes(Status),
    success(kpr(Env, [Good])).

push_two_ways(Env) ->
    A = kpr(Env, [(new_key(Env, "ways-1"))#{'Security-Usage-Id' => ?ASSOCIATION_KEY},
                  (new_key(Env, "ways-2"))#{'Enrolee-Id' => [<<"//sp.other.example/node">>]}]),
    [5012] = codes(A),
    [[5507], [5003]] = [codes(S) || S <- maps:get('Key-Status', A)].

push_wrong_usage(Env) ->
    refused(5507, kpr(Env, [(new_key(Env, "usage"))#{'Security-Usage-Id' => 99}])).

push_other_mas(Env) ->
    K = new_key(Env, "othermas"),
    [Rel, _] = string:split(maps:get('Key-Name', K), "@"),
    refused(5508, kpr(Env, [K#{'Key-Name' => iolist_to_binary([Rel, "@mas.other.example"])}])).

push_other_provider(Env) ->
    refused(5003, kpr(Env, [(new_key(Env, "sp"))#{'Enrolee-Id' => [<<"//sp.other.example/node">>]}])).

push_expired(Env) ->
    refused(5004, {1106, 404}, kpr(Env, [(new_key(Env, "old"))#{'Key-ExpiryTime' => [{{2020, 1, 1}, {0, 0, 0}}]}])).

push_2045(Env) ->
    success(kpr(Env, [(new_key(Env, "long"))#{'Key-ExpiryTime' => [{{2045, 1, 1}, {0, 0, 0}}]}])).

push_short_key(Env) ->
    refused(5004, {1106, 583}, kpr(Env, [(new_key(Env, "short"))#{'Keying-Material' => [crypto:strong_rand_bytes(31)]}])).

push_without_key(Env) ->
    refused(5005, {1106, 583}, kpr(Env, [maps:remove('Keying-Material', new_key(Env, "none"))])).

push_key_and_package(Env) ->
    refused(5007, {1106, 1112}, kpr(Env, [(new_key(Env, "both"))#{'Protected-Key-Package' => [<<"package">>]}])).

push_bad_package(Env) ->
    K = maps:remove('Keying-Material', new_key(Env, "package")),
    refused(5506, kpr(Env, [K#{'Protected-Key-Package' => [<<"package">>]}])).

%% This one makes its own packages, and has to.
push_package(Env) ->
    Session = diameter:session_id(host(Env, packed)),
    K = packed_key(Env, "packed"),
    success(kpr_packed(Env, packed(Env, K, Session, 0), Session)),
    success(kpr_packed(Env, packed(Env, K, Session, 0), Session)),
    Again = diameter:session_id(host(Env, packed)),
    success(kpr_packed(Env, packed(Env, K, Again, -200), Again)),
    refused(5504, kpr_packed(Env, packed(Env, K#{'Keying-Material' => [crypto:strong_rand_bytes(32)]}, Again, 0), Again)).

push_old_package(Env) ->
    Session = diameter:session_id(host(Env, packed)),
    K = packed_key(Env, "aged"),
    refused(5506, kpr_packed(Env, packed(Env, K, Session, -320), Session)),
    refused(5506, kpr_packed(Env, packed(Env, K, Session, 320), Session)).

push_moved_package(Env) ->
    K = packed_key(Env, "moved"),
    refused(5506, kpr_packed(Env, packed(Env, K, diameter:session_id(host(Env, packed)), 0), diameter:session_id(host(Env, packed)))).

push_unpacked(Env) ->
    refused(5505, kpr_packed(Env, packed_key(Env, "bare"), diameter:session_id(host(Env, packed)))).

packed_key(Env, Name) -> new_key(Env#env{mtf = host(Env, packed)}, Name).

kpr_packed(Env, K, Session) -> kpr(Env, [K], #{'Session-Id' => Session}, packed, host(Env, packed)).

%% The same key with a package in the place of its Keying-Material. Off: s that its time is off.
packed(#env{mas = Mas, pki = Pki} = Env, K, Session, Off) ->
    #{'Key-Name' := Name, 'Keying-Material' := [Km], 'Enrolee-Id' := [Enrolee], 'Enrolment-Key-Name' := [Ke], 'Key-ExpiryTime' := [Expiry],
      'Association-Target-Id' := Targets, 'App-Id' := Apps} = K,
    Now = calendar:datetime_to_gregorian_seconds(calendar:universal_time()),
    Content = [wire(586, 0, Name), wire(1103, 32473, <<?ROOT_KEY:32>>), wire(583, 0, Km), wire(404, 10415, ntp(Expiry)), wire(1101, 32473, Enrolee),
               [wire(1102, 32473, A) || A <- Apps], [wire(1108, 32473, T) || T <- Targets], wire(1111, 32473, Ke),
               wire(264, 0, host(Env, packed)), wire(293, 0, Mas), wire(263, 0, Session), wire(55, 0, ntp(calendar:gregorian_seconds_to_datetime(Now + Off)))],
    File = filename:join(Pki, "erl-packed-" ++ integer_to_list(erlang:unique_integer([positive]))),
    ok = file:write_file(File, Content),
    [] = os:cmd(lists:flatten(io_lib:format(
        "cd ~s && openssl cms -sign -binary -nodetach -md sha256 -signer erl-packed-package.pem -inkey erl-packed-package.key -in ~s -outform DER -out ~s.s && "
        "openssl cms -encrypt -binary -aes-256-gcm -in ~s.s -outform DER -out ~s.p -recip mas-package.pem -keyopt ecdh_kdf_md:sha256 -aes256-wrap",
        [Pki, File, File, File, File]))),
    {ok, Package} = file:read_file(File ++ ".p"),
    [ok = file:delete(F) || F <- [File, File ++ ".s", File ++ ".p"]],
    (maps:remove('Keying-Material', K))#{'Protected-Key-Package' => [Package]}.

%% RFC 6733 4.1, 4.3.1
wire(Code, Vendor, Data) ->
    B = iolist_to_binary(Data),
    Head = case Vendor of 0 -> <<Code:32, 16#40, (8 + byte_size(B)):24>>; _ -> <<Code:32, 16#c0, (12 + byte_size(B)):24, Vendor:32>> end,
    [Head, B, binary:copy(<<0>>, -byte_size(B) band 3)].

ntp(Date) -> <<(calendar:datetime_to_gregorian_seconds(Date) - calendar:datetime_to_gregorian_seconds({{1900, 1, 1}, {0, 0, 0}})):32>>.

push_unknown_avp(Env) ->
    K = new_key(Env, "unknown"),
    refused(5001, 9999, kpr(Env, [K], #{'AVP' => [unknown(true)]})),
    success(kpr(Env, [K], #{'AVP' => [unknown(false)]})).

push_unknown_inside(Env) ->
    K = new_key(Env, "inside"),
    refused(5001, {1106, 9999}, kpr(Env, [K#{'AVP' => [unknown(true)]}])),
    success(kpr(Env, [K#{'AVP' => [unknown(false)]}])).

push_wrong_length(Env) ->
    K = new_key(Env, "length"),
    refused(5014, 55, kpr(Env, [K], #{'AVP' => [#diameter_avp{code = 55, is_mandatory = true, data = <<1, 2, 3>>}]})).

%% Overload control, load, priority, times and states of others: taken, and of no effect (doc/protocol.md 3).
push_with_extras(Env) ->
    A = success(kpr(Env, [new_key(Env, "extras")],
        #{'Event-Timestamp' => [calendar:universal_time()], 'Origin-State-Id' => [4711], 'DRMP' => [3], 'M2M-Feature-Vector' => [1 bsl 63],
          'Vendor-Specific-Application-Id' => [#{'Vendor-Id' => 32473, 'Auth-Application-Id' => [?RKM]}],
          'Proxy-Info' => [#{'Proxy-Host' => P, 'Proxy-State' => <<P/binary, 0, 255>>} || P <- [<<"b.example">>, <<"a.example">>]],
          'AVP' => [#diameter_avp{code = C, data = D} || {C, D} <- [{621, <<622:32, 16:32, 1:64>>}, {650, <<>>}]]})),
    [<<"b.example">>, <<"a.example">>] = [iolist_to_binary(maps:get('Proxy-Host', P)) || P <- maps:get('Proxy-Info', A)],
    [<<"b.example", 0, 255>>, <<"a.example", 0, 255>>] = [maps:get('Proxy-State', P) || P <- maps:get('Proxy-Info', A)].

push_by_cse(Env = #env{cse = Cse}) ->
    refused(5003, kpr(Env, [new_key(Env, "bycse")], #{}, cse, Cse)).

push_stranger(Env) ->
    refused(3002, kpr(Env, [new_key(Env, "astray")], #{'Destination-Host' => "elsewhere." ++ Env#env.domain})).

%% A MAS serves no fetch.
fetch(Env = #env{mtf = Mtf}) ->
    refused(3001, m2m_dia:call(mtf, Env#env.mas, rkm, ?RKM, 'KFR', head(Env, Mtf), #{'Destination-Host' => Env#env.mas})).

unknown(Mandatory) -> #diameter_avp{code = 9999, is_mandatory = Mandatory, data = <<"what is this">>}.

%% --- association keys ----------------------------------------------------------------------------------------------------

ask(Env) ->
    K = pushed(Env, "ask"),
    {Ki, Kc} = association(Env, K, now_us()),
    A = skr(Env, [Ki]),
    success(A),
    [M] = maps:get('M2M-Key', A),
    is_key(Env, K, Ki, Kc, M).

ask_twice(Env) ->
    K = pushed(Env, "twice"),
    {Ki, Kc} = association(Env, K, now_us()),
    [begin
         A = skr(Env, [Ki]),
         success(A),
         [M] = maps:get('M2M-Key', A),
         is_key(Env, K, Ki, Kc, M)
     end || _ <- [1, 2]].

ask_batch(Env) ->
    Ks = [new_key(Env, "many-" ++ integer_to_list(I)) || I <- lists:seq(1, 32)],
    success(kpr(Env, Ks)),
    Pairs = [{K, association(Env, K, now_us())} || K <- Ks],
    A = skr(Env, [Ki || {_, {Ki, _}} <- Pairs]),
    success(A),
    Got = maps:from_list([{maps:get('Key-Name', M), M} || M <- maps:get('M2M-Key', A)]),
    32 = maps:size(Got),
    [is_key(Env, K, Ki, Kc, maps:get(Ki, Got)) || {K, {Ki, Kc}} <- Pairs].

ask_unknown(Env) ->
    K = new_key(Env, "neverpushed"),
    {Ki, _} = association(Env, K, now_us()),
    refused(5501, skr(Env, [Ki])).

ask_mixed(Env) ->
    K = pushed(Env, "mix"),
    {Good, Kc} = association(Env, K, now_us()),
    {Bad, _} = association(Env, new_key(Env, "mixnone"), now_us()),
    A = skr(Env, [Good, Bad]),
    [2002] = codes(A),
    [M] = maps:get('M2M-Key', A),
    is_key(Env, K, Good, Kc, M),
    [S] = maps:get('Key-Status', A),
    Bad = maps:get('Key-Name', S),
    [5501] = codes(S).

ask_other_cse(Env) ->
    K = pushed(Env, "othercse"),
    {Ki, _} = association(Env, K, now_us()),
    refused(5003, skr(Env, [Ki], #{'Association-Target-Id' => iolist_to_binary(["//", Env#env.sp, "/another-cse"])})).

ask_wrong_usage(Env) ->
    K = pushed(Env, "askusage"),
    {Ki, _} = association(Env, K, now_us()),
    refused(5507, skr(Env, [Ki], #{'Security-Usage-Id' => ?ROOT_KEY})).

ask_old_sequence(Env) ->
    K = pushed(Env, "oldseq"),
    Base = now_us(),
    [success(skr(Env, [element(1, association(Env, K, Base + I))])) || I <- lists:seq(1, 17)],
    refused(5503, skr(Env, [element(1, association(Env, K, Base + 1))])),
    success(skr(Env, [element(1, association(Env, K, Base + 100))])).

ask_bad_name(Env) ->
    refused(5004, 586, skr(Env, [<<"no key identifier">>])).

is_key(Env, K, Ki, Kc, M) ->
    Ki = maps:get('Key-Name', M),
    ?ASSOCIATION_KEY = maps:get('Security-Usage-Id', M),
    [Kc] = maps:get('Keying-Material', M),
    [Life] = maps:get('Key-Lifetime', M),
    true = Life > 0,
    true = maps:get('Enrolee-Id', M) =:= maps:get('Enrolee-Id', K),
    true = lists:sort(maps:get('App-Id', M, [])) =:= lists:sort(maps:get('App-Id', K, [])),
    true = Env#env.target =/= undefined.

%% --- revocations -------------------------------------------------------------------------------------------------------------------

revoke(Env) ->
    K = pushed(Env, "revoke"),
    {Ki, _} = association(Env, K, now_us()),
    success(skr(Env, [Ki])),
    success(krr(Env, [maps:get('Key-Name', K)])),
    refused(5502, skr(Env, [Ki])),
    refused(5504, kpr(Env, [K])),
    success(krr(Env, [maps:get('Key-Name', K)])).

revoke_unknown(Env) ->
    success(krr(Env, [maps:get('Key-Name', new_key(Env, "none")) || _ <- lists:seq(1, 256)])).

revoke_257(Env) ->
    Last = #diameter_avp{code = 586, is_mandatory = true, data = maps:get('Key-Name', new_key(Env, "none"))},
    refused(5009, 586, krr(Env, [maps:get('Key-Name', new_key(Env, "none")) || _ <- lists:seq(1, 256)], #{'AVP' => [Last]})).

revoke_bad_reason(Env) ->
    refused(5004, 1109, krr(Env, [maps:get('Key-Name', pushed(Env, "reason"))], #{'Revocation-Reason' => 9})).

revoke_bad_name(Env) ->
    refused(5004, 586, krr(Env, [<<"*">>])).

revoke_by_cse(Env = #env{cse = Cse}) ->
    refused(5003, krr(Env, [maps:get('Key-Name', pushed(Env, "bycse"))], #{}, cse, Cse)).

%% The last: the store of the MAS is full then. What it holds still serves.
push_until_full(Env) ->
    K = pushed(Env, "before"),
    refused(4181, until_full(Env, ?FULL_AFTER)),
    {Ki, Kc} = association(Env, K, now_us()),
    [M] = maps:get('M2M-Key', success(skr(Env, [Ki]))),
    is_key(Env, K, Ki, Kc, M).

until_full(Env, N) when N > 0 ->
    A = kpr(Env, [new_key(Env, "full-" ++ integer_to_list(100 * N + I)) || I <- lists:seq(1, 32)]),
    case codes(A) of
        [2001] -> until_full(Env, N - 1);
        _ -> A
    end.

%% --- what our MAS asks ----------------------------------------------------------------------------------------------------------------

%% Keys that the MAS has to tell erl-cse of (KNR), and how that answers at first. Those that follow have another reason, so that each has a
%% message of its own.
-define(NOTICES, [{"told", []}, {"busy", [3004]}, {"full", [4181, 4183]}, {"sick", [5012]}, {"denied", [5003]}, {"elsewhere", [other_session]},
                  {"torn", [both_results]}, {"error", [error_bit]}, {"unknown", [5501]}, {"over", [5502]}]).

notify(Env) ->
    lists:foldl(fun({Name, Ways}, Reason) ->
                    K = pushed(Env, "notify-" ++ Name),
                    KmId = maps:get('Key-Name', K),
                    m2m_served:answers(KmId, Ways),
                    ets:insert(served, {{key, Name}, KmId}),
                    success(krr(Env, [KmId], #{'Revocation-Reason' => Reason})),
                    6 - Reason
                end, 2, ?NOTICES).

%% It is told until it has answered well; that it has no such key any more is well.
notified(_) ->
    [begin
         [{_, KmId}] = ets:lookup(served, {key, Name}),
         Want = case Ways of [N] when N =:= 5501; N =:= 5502 -> 1; _ -> length(Ways) + 1 end,
         wait_until(Name, fun() -> m2m_served:times('KNR', KmId) =:= Want end)
     end || {Name, Ways} <- ?NOTICES],
    [] = m2m_served:bad().

%% What the MAS fetched from erl-mtf when it had nothing (fetch-when-empty) works like what was pushed.
fetched(#env{fetched = Keys} = Env) ->
    wait_until(pages, fun() -> m2m_served:times(page, []) >= 1 andalso m2m_served:times(page, [<<"three", 0, 255>>]) >= 1 end),
    [begin
         {Ki, Kc} = association(Env, K, now_us()),
         wait_until(Ki, fun() -> codes(skr(Env, [Ki])) =:= [2001] end),
         [M] = maps:get('M2M-Key', skr(Env, [Ki])),
         is_key(Env, K, Ki, Kc, M)
     end || K <- Keys],
    ['KFR', 'KNR'] = m2m_served:asked(),
    [] = m2m_served:bad().

wait_until(What, Fun) -> wait_until(What, Fun, 600).
wait_until(What, _, 0) -> error({waited_in_vain, What});
wait_until(What, Fun, N) ->
    case Fun() of
        true -> ok;
        false -> timer:sleep(100), wait_until(What, Fun, N - 1)
    end.

%% --- enrolments ----------------------------------------------------------------------------------------------------------------------

%% A node of Erlang's ssl; its octets go to the MTF in RPRs. All pass through a port of ours, as through a CSF.
enrol(Env) ->
    {A, Json} = carry(Env, "erl-node"),
    success(A),
    {match, _} = re:run(Json, <<"^{\"version\":1,\"status\":\"enrolled\",.*\"masId\":\"", (list_to_binary(Env#env.mas))/binary, "\"">>).

enrol_stranger(Env) ->
    {A, Json} = carry(Env, "erl-stranger"),
    refused(5003, A),
    {match, _} = re:run(Json, "\"status\":\"refused\",\"reason\":\"not-authorised\"").

enrol_lost(Env) ->
    {A, Json} = carry(Env, "erl-lost"),
    refused(5508, A),
    {match, _} = re:run(Json, "\"status\":\"refused\",\"reason\":\"no-mas\"").

%% The last answer, and what the node reads then.
carry(Env, Cert) ->
    {ok, L} = gen_tcp:listen(0, [binary, {ip, {127, 0, 0, 1}}, {active, false}]),
    {ok, Port} = inet:port(L),
    Self = self(),
    spawn_link(fun() -> Self ! {node, node(Env, Cert, Port)} end),
    {ok, S} = gen_tcp:accept(L, 10000),
    Session = diameter:session_id(host(Env, csf)),
    A = rounds(Env, S, Session, 1, []),
    gen_tcp:close(S),
    gen_tcp:close(L),
    receive {node, Json} -> {A, Json} after 10000 -> error(node_hangs) end.

rounds(Env, S, Session, N, State) ->
    {ok, Octets} = gen_tcp:recv(S, 0, 10000),
    A = rpr(Env, csf, N, Octets, (later(Env, State))#{'Session-Id' => Session}),
    [ok = gen_tcp:send(S, P) || P <- maps:get('TLS-Payload', A, [])],
    case codes(A) of
        [1001] -> rounds(Env, S, Session, N + 1, goes_on(N, A));
        _ -> [] = maps:get('State', A, []), A
    end.

node(#env{mtf_server = Mtf, pki = Pki}, Cert, Port) ->
    {ok, T} = ssl:connect({127, 0, 0, 1}, Port, [binary, {active, false}, {versions, ['tlsv1.3']}, {verify, verify_peer},
        {cacertfile, filename:join(Pki, "device-ca.pem")}, {certfile, filename:join(Pki, Cert ++ ".pem")},
        {keyfile, filename:join(Pki, Cert ++ ".key")}, {server_name_indication, Mtf}], 10000),
    {ok, Json} = ssl:recv(T, 0, 10000),
    {error, closed} = ssl:recv(T, 0, 10000),
    Json.

%% What an answer of 1001 has; its State.
goes_on(N, A) ->
    [1001] = codes(A),
    [N] = maps:get('Provisioning-Round', A),
    [State] = maps:get('State', A),
    true = byte_size(State) >= 16,
    [T] = maps:get('Multi-Round-Time-Out', A),
    true = T > 0,
    [State].

later(_, []) -> #{};
later(Env, State) -> #{'State' => State, 'Destination-Host' => [Env#env.mtf_server]}.

%% What Erlang's ssl says first.
client_hello() ->
    {ok, L} = gen_tcp:listen(0, [binary, {ip, {127, 0, 0, 1}}, {active, false}]),
    {ok, Port} = inet:port(L),
    spawn(fun() -> ssl:connect({127, 0, 0, 1}, Port, [{versions, ['tlsv1.3']}, {verify, verify_none}], 10000) end),
    {ok, S} = gen_tcp:accept(L, 10000),
    {ok, Hello} = gen_tcp:recv(S, 0, 10000),
    gen_tcp:close(S),
    gen_tcp:close(L),
    Hello.

%% To what is no TLS there is no alert.
round_garbage(Env) ->
    A = refused(4001, rpr(Env, csf, 1, <<"GET / HTTP/1.1\r\n\r\n">>)),
    B = refused(4001, rpr(Env, csf, 1, <<22, 3, 1, 4:16, 1, 0:24>>)),  % TLS, but a ClientHello of no octets
    [<<21, 3, _:8, 2:16, 2, _:8>>] = maps:get('TLS-Payload', B),  % a fatal alert
    [[] = maps:get('State', X, []) || X <- [A, B]].

round_unknown(Env) ->
    refused(5002, rpr(Env, csf, 2, client_hello(), later(Env, [crypto:strong_rand_bytes(16)]))),
    refused(5002, rpr(Env, csf, 2, client_hello())).

round_0(Env) ->
    refused(5004, 1105, rpr(Env, csf, 0, client_hello())).

round_giant(Env) ->
    refused(5004, 1104, rpr(Env, csf, 1, binary:copy(<<22>>, 32769))).

rounds_without_end(Env) ->
    Session = diameter:session_id(host(Env, csf)),
    [First | Rest] = [<<B>> || <<B>> <= binary:part(client_hello(), 0, 9)],
    S1 = goes_on(1, rpr(Env, csf, 1, First, #{'Session-Id' => Session})),
    {S8, Last} = lists:foldl(fun(B, {S, N}) when N =< 8 -> {goes_on(N, rpr(Env, csf, N, B, (later(Env, S))#{'Session-Id' => Session})), N + 1};
                                (_, Acc) -> Acc end, {S1, 2}, Rest),
    refused(5012, rpr(Env, csf, Last, <<0>>, (later(Env, S8))#{'Session-Id' => Session})).

%% The same round again is answered with the same; what follows it does not change.
round_twice(Env) ->
    Session = diameter:session_id(host(Env, csf)),
    <<First:100/binary, Rest/binary>> = client_hello(),
    S1 = goes_on(1, rpr(Env, csf, 1, First, #{'Session-Id' => Session})),
    Second = fun() -> rpr(Env, csf, 2, Rest, (later(Env, S1))#{'Session-Id' => Session}) end,
    A = Second(),
    goes_on(2, A),
    same(A, Second()).

same(A, B) ->
    [true = maps:get(N, A, []) =:= maps:get(N, B, []) || N <- ['Result-Code', 'State', 'TLS-Payload', 'Provisioning-Round']].

round_unknown_avp(Env) ->
    refused(5001, 9999, rpr(Env, csf, 1, client_hello(), #{'AVP' => [unknown(true)]})),
    goes_on(1, rpr(Env, csf, 1, client_hello(), #{'AVP' => [unknown(false)]})).

%% erl-few may have one.
handshakes_at_once(Env) ->
    goes_on(1, rpr(Env, few, 1, client_hello())),
    refused(4182, rpr(Env, few, 1, client_hello())).

%% erl-slow may ask once a second.
rounds_too_fast(Env) ->
    refused(4001, rpr(Env, slow, 1, <<"no TLS">>)),
    refused(4183, until_too_fast(Env, 500)).

until_too_fast(Env, N) when N > 0 ->
    A = rpr(Env, slow, 1, <<"no TLS">>),
    case codes(A) of
        [4001] -> until_too_fast(Env, N - 1);
        _ -> A
    end.

%% --- keys by an independent implementation -----------------------------------------------------------------------------------

new_key(#env{mas = Mas, mtf = Mtf, sp = Sp, target = Target}, Name) ->
    Rel = hex(crypto:strong_rand_bytes(16)),
    {Date, Time} = calendar:universal_time(),
    {Y, Mo, D} = Date,
    #{'Key-Name' => iolist_to_binary([Rel, "@", Mas]),
      'Security-Usage-Id' => ?ROOT_KEY,
      'Keying-Material' => [crypto:strong_rand_bytes(32)],
      'Key-ExpiryTime' => [{{Y + 1, Mo, min(D, 28)}, Time}],
      'Enrolee-Id' => [iolist_to_binary(["//", Sp, "/erl-", Name])],
      'App-Id' => [<<"Nfirst">>, <<"Nsecond">>],
      'Association-Target-Id' => [iolist_to_binary(Target)],
      'Enrolment-Key-Name' => [iolist_to_binary([Rel, "@", Mtf])]}.

pushed(Env, Name) ->
    K = new_key(Env, Name),
    success(kpr(Env, [K])),
    K.

association(#env{mas = Mas, target = Target}, K, Sequence) ->
    [Rel, _] = string:split(maps:get('Key-Name', K), "@"),
    Ki = iolist_to_binary([Rel, ".", hex(<<Sequence:64>>), hex(crypto:strong_rand_bytes(8)), "@", Mas]),
    [Enrolee] = maps:get('Enrolee-Id', K),
    Info = iolist_to_binary(["M2M security association key v1", 0,
                             [[P, <<(byte_size(P)):16>>] || P <- [Ki, Enrolee, iolist_to_binary(Target), <<?ASSOCIATION_KEY:32>>]]]),
    [Km] = maps:get('Keying-Material', K),
    {Ki, crypto:mac(hmac, sha256, Km, <<Info/binary, 1>>)}.

hex(B) -> string:lowercase(binary:encode_hex(B)).
now_us() -> erlang:system_time(microsecond) + erlang:unique_integer([positive]).

%% --- a MAS fetches its root keys: erl-mas has 40 at the MTF -------------------------------------------------------------------

fetch_all(Env) ->
    A = success(kfr(Env, #{})),
    32 = length(maps:get('M2M-Key', A)),
    [Cursor] = maps:get('Page-Cursor', A),
    B = success(kfr(Env, #{'Page-Cursor' => [Cursor]})),
    [] = maps:get('Page-Cursor', B, []),
    Keys = maps:get('M2M-Key', A) ++ maps:get('M2M-Key', B),
    40 = length(Keys),
    Names = [maps:get('Key-Name', K) || K <- Keys],
    Names = lists:usort(Names),
    [is_root_key(Env, K) || K <- Keys].

is_root_key(Env, K) ->
    [Rel, Host] = string:split(maps:get('Key-Name', K), "@"),
    true = iolist_to_binary(Host) =:= list_to_binary(host(Env, mas)),
    ?ROOT_KEY = maps:get('Security-Usage-Id', K),
    [<<_:32/binary>>] = maps:get('Keying-Material', K),
    [_] = maps:get('Key-ExpiryTime', K),
    [<<"//", _/binary>>] = [iolist_to_binary(E) || E <- maps:get('Enrolee-Id', K)],
    [_ | _] = maps:get('Association-Target-Id', K),
    [Ke] = maps:get('Enrolment-Key-Name', K),
    true = iolist_to_binary(Ke) =:= iolist_to_binary([Rel, "@", Env#env.mtf_server]).

fetch_mixed(Env) ->
    [K | _] = maps:get('M2M-Key', success(kfr(Env, #{}))),
    Unknown = unknown_name(Env),
    A = kfr(Env, #{'Key-Name' => [maps:get('Key-Name', K), Unknown]}),
    [2002] = codes(A),
    [K2] = maps:get('M2M-Key', A),
    true = maps:get('Keying-Material', K) =:= maps:get('Keying-Material', K2),
    [Status] = maps:get('Key-Status', A),
    [5501] = codes(Status),
    true = maps:get('Key-Name', Status) =:= Unknown.

fetch_unknown(Env) ->
    refused(5501, kfr(Env, #{'Key-Name' => [unknown_name(Env)]})).

fetch_cursor(Env) ->
    [refused(5004, 1114, kfr(Env, #{'Page-Cursor' => [C]})) || C <- [<<0>>, crypto:strong_rand_bytes(113), binary:copy(<<255>>, 255)]].

fetch_both(Env) ->
    refused(5007, 1114, kfr(Env, #{'Key-Name' => [unknown_name(Env)], 'Page-Cursor' => [<<"x">>]})).

fetch_33(Env) ->
    Last = #diameter_avp{code = 586, is_mandatory = true, data = unknown_name(Env)},
    refused(5009, 586, kfr(Env, #{'Key-Name' => [unknown_name(Env) || _ <- lists:seq(1, 32)], 'AVP' => [Last]})).

unknown_name(Env) -> iolist_to_binary([hex(crypto:strong_rand_bytes(16)), "@", host(Env, mas)]).

kfr(Env, More) ->
    m2m_dia:call(mas, Env#env.mtf_server, rkm, ?RKM, 'KFR', head(Env, host(Env, mas)),
                 maps:merge(#{'Destination-Host' => Env#env.mtf_server}, More)).

%% --- requests -----------------------------------------------------------------------------------------------------------------------

head(#env{realm = Realm}, Host) -> #{'Origin-Host' => Host, 'Origin-Realm' => Realm, 'Destination-Realm' => Realm}.

kpr(Env, Keys) -> kpr(Env, Keys, #{}).
kpr(Env, Keys, More) -> kpr(Env, Keys, More, mtf, Env#env.mtf).
kpr(Env, Keys, More, Service, Host) ->
    m2m_dia:call(Service, Env#env.mas, rkm, ?RKM, 'KPR', head(Env, Host),
                 maps:merge(#{'Destination-Host' => Env#env.mas, 'M2M-Key' => [norm(K) || K <- Keys]}, More)).

norm(K) -> maps:map(fun('Keying-Material', V) when is_binary(V) -> [V]; (_, V) -> V end, K).

krr(Env, Names) -> krr(Env, Names, #{}).
krr(Env, Names, More) -> krr(Env, Names, More, mtf, Env#env.mtf).
krr(Env, Names, More, Service, Host) ->
    m2m_dia:call(Service, Env#env.mas, rkm, ?RKM, 'KRR', head(Env, Host),
                 maps:merge(#{'Destination-Host' => Env#env.mas, 'Revocation-Reason' => 2, 'Key-Name' => Names}, More)).

skr(Env, Names) -> skr(Env, Names, #{}).
skr(Env, Names, More) ->
    m2m_dia:call(cse, Env#env.mas, sak, ?SAK, 'SKR', head(Env, Env#env.cse),
                 maps:merge(#{'Association-Target-Id' => Env#env.target, 'Security-Usage-Id' => ?ASSOCIATION_KEY, 'Key-Name' => Names,
                              'Destination-Host' => [Env#env.mas]}, More)).

rpr(Env, Service, Round, Payload) -> rpr(Env, Service, Round, Payload, #{}).
rpr(Env, Service, Round, Payload, More) ->
    m2m_dia:call(Service, Env#env.mtf_server, rp, ?RP, 'RPR', head(Env, host(Env, Service)),
                 maps:merge(#{'Provisioning-Round' => Round, 'TLS-Payload' => Payload}, More)).
