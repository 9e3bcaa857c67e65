%% SPDX-License-Identifier: BSD-2-Clause
%% An independent peer: Erlang/OTP's diameter, whose decoder is strict, as an MTF and as a CSE against a running MAS over TLS 1.3.
%% It performs KPR and SKR, checks every answer's grammar and content, and derives the keys by itself with Erlang's crypto.
%%
%% erl -noshell -pa DIR -run m2m_peer main MAS-HOST PORT REALM PKI MTF-HOST CSE-HOST SP CSE-ID
%% PKI has <name>.pem/.key for mtf and cse by the first label of their host names, and diameter-ca.pem.
-module(m2m_peer).
-export([main/1]).
-export([peer_up/3, peer_down/3, pick_peer/4, prepare_request/3, prepare_retransmit/3, handle_answer/4, handle_error/4,
         handle_request/3]).
-include_lib("diameter/include/diameter.hrl").

-define(RKM, 4031590914).
-define(SAK, 4031590915).
-define(ROOT_KEY, 21).
-define(ASSOCIATION_KEY, 32).

-record(env, {mas, realm, mtf, cse, sp, target}).

main([Mas, Port, Realm, Pki, Mtf, Cse, Sp, Target]) ->
    ok = application:ensure_started(crypto),
    {ok, _} = application:ensure_all_started(ssl),
    ok = diameter:start(),
    P = list_to_integer(Port),
    connect(mtf, Mtf, Realm, Pki, Mas, P, [{rkm, m2m_rkm, ?RKM}]),
    connect(cse, Cse, Realm, Pki, Mas, P, [{sak, m2m_sak, ?SAK}]),
    Env = #env{mas = Mas, realm = Realm, mtf = Mtf, cse = Cse, sp = Sp, target = Target},
    Results = [run(T, Env) || T <- tests()],
    Failed = length([x || failed <- Results]),
    io:format("Ran ~b tests~n", [length(Results)]),
    diameter:stop_service(mtf),
    diameter:stop_service(cse),
    halt(min(Failed, 1)).

tests() ->
    [{push, fun push/1}, {push_again_is_the_same, fun push_again/1}, {push_other_content_conflicts, fun push_conflict/1},
     {push_batch_of_32, fun push_batch/1}, {push_33_is_refused, fun push_33/1}, {push_mixed_batch, fun push_mixed/1},
     {push_wrong_usage, fun push_wrong_usage/1}, {push_for_another_mas, fun push_other_mas/1},
     {push_of_another_provider, fun push_other_provider/1}, {push_expired, fun push_expired/1},
     {push_until_2045, fun push_2045/1}, {push_short_key, fun push_short_key/1}, {push_without_key, fun push_without_key/1},
     {ask, fun ask/1}, {ask_twice_is_the_same, fun ask_twice/1}, {ask_batch_of_32, fun ask_batch/1},
     {ask_unknown, fun ask_unknown/1}, {ask_mixed, fun ask_mixed/1}, {ask_as_another_cse, fun ask_other_cse/1},
     {ask_wrong_usage, fun ask_wrong_usage/1}, {ask_old_sequence, fun ask_old_sequence/1}, {ask_bad_name, fun ask_bad_name/1}].

run({Name, Fun}, Env) ->
    try Fun(Env) of
        _ -> io:format("ok ~s~n", [Name]), ok
    catch
        C:E:S -> io:format("FAILED ~s: ~p:~p~n~p~n", [Name, C, E, S]), failed
    end.

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
    A = kpr(Env, [new_key(Env, "much-" ++ integer_to_list(I)) || I <- lists:seq(1, 32)], #{'AVP' => [Last]}),
    [5009] = codes(A),
    [_] = maps:get('Failed-AVP', A).

push_mixed(Env) ->
    Good = new_key(Env, "mixed-1"),
    Bad = (new_key(Env, "mixed-2"))#{'Security-Usage-Id' => ?ASSOCIATION_KEY},
    A = kpr(Env, [Good, Bad]),
    [2002] = codes(A),
    [Status] = maps:get('Key-Status', A),
    true = maps:get('Key-Name', Status) =:= maps:get('Key-Name', Bad),
    [5507] = codes(Status),
    success(kpr(Env, [Good])).

push_wrong_usage(Env) ->
    refused(5507, kpr(Env, [(new_key(Env, "usage"))#{'Security-Usage-Id' => 99}])).

push_other_mas(Env) ->
    K = new_key(Env, "othermas"),
    [Rel, _] = string:split(maps:get('Key-Name', K), "@"),
    refused(5508, kpr(Env, [K#{'Key-Name' => iolist_to_binary([Rel, "@mas.other.example"])}])).

push_other_provider(Env) ->
    refused(5003, kpr(Env, [(new_key(Env, "sp"))#{'Enrolee-Id' => [<<"//sp.other.example/node">>]}])).

push_expired(Env) ->
    refused(5004, kpr(Env, [(new_key(Env, "old"))#{'Key-ExpiryTime' => [{{2020, 1, 1}, {0, 0, 0}}]}])).

push_2045(Env) ->
    success(kpr(Env, [(new_key(Env, "long"))#{'Key-ExpiryTime' => [{{2045, 1, 1}, {0, 0, 0}}]}])).

push_short_key(Env) ->
    refused(5004, kpr(Env, [(new_key(Env, "short"))#{'Keying-Material' => [crypto:strong_rand_bytes(31)]}])).

push_without_key(Env) ->
    refused(5005, kpr(Env, [maps:remove('Keying-Material', new_key(Env, "none"))])).

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
    refused(5004, skr(Env, [<<"no key identifier">>])).

is_key(Env, K, Ki, Kc, M) ->
    Ki = maps:get('Key-Name', M),
    ?ASSOCIATION_KEY = maps:get('Security-Usage-Id', M),
    [Kc] = maps:get('Keying-Material', M),
    [Life] = maps:get('Key-Lifetime', M),
    true = Life > 0,
    true = maps:get('Enrolee-Id', M) =:= maps:get('Enrolee-Id', K),
    true = lists:sort(maps:get('App-Id', M, [])) =:= lists:sort(maps:get('App-Id', K, [])),
    true = Env#env.target =/= undefined.

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

%% --- requests ---------------------------------------------------------------------------------------------------------------------

kpr(Env, Keys) -> kpr(Env, Keys, #{}).
kpr(Env = #env{mtf = Mtf}, Keys, More) ->
    call(mtf, rkm, 'KPR', Env, Mtf, ?RKM,
         maps:merge(#{'Destination-Host' => Env#env.mas, 'M2M-Key' => [norm(K) || K <- Keys]}, More)).

norm(K) -> maps:map(fun('Keying-Material', V) when is_binary(V) -> [V]; (_, V) -> V end, K).

skr(Env, Names) -> skr(Env, Names, #{}).
skr(Env = #env{cse = Cse}, Names, More) ->
    call(cse, sak, 'SKR', Env, Cse, ?SAK,
         maps:merge(#{'Association-Target-Id' => Env#env.target, 'Security-Usage-Id' => ?ASSOCIATION_KEY, 'Key-Name' => Names,
                      'Destination-Host' => [Env#env.mas]}, More)).

call(Service, App, Command, #env{realm = Realm}, Host, AppId, Avps) ->
    Request = [Command | maps:merge(#{'Session-Id' => diameter:session_id(Host), 'Auth-Application-Id' => AppId,
                                      'Auth-Session-State' => 1, 'Origin-Host' => Host, 'Origin-Realm' => Realm,
                                      'Destination-Realm' => Realm}, Avps)],
    case diameter:call(Service, App, Request, [{timeout, 10000}]) of
        #diameter_packet{msg = [_ | Answer], errors = [], header = #diameter_header{is_proxiable = true, is_error = false}} ->
            [1] = lists:usort([maps:get('Auth-Session-State', Answer)]),
            AppId = maps:get('Auth-Application-Id', Answer),
            1 = length(codes(Answer)),
            Answer;
        Other -> error({bad_answer, Other})
    end.

%% Result-Code or the code in Experimental-Result, whichever there is; both would be two.
codes(A) ->
    lists:append([L || {'Result-Code', L} <- maps:to_list(A)])
        ++ [maps:get('Experimental-Result-Code', E) || E <- maps:get('Experimental-Result', A, [])].

success(A) ->
    [2001] = codes(A),
    [] = maps:get('Key-Status', A, []),
    A.
refused(Code, A) ->
    [Code] = codes(A),
    [] = maps:get('M2M-Key', A, []),
    names_failed(Code, A),
    A.

%% RFC 6733 7.1.5: these come with the AVP that they are about.
names_failed(Code, A) when Code =:= 5004; Code =:= 5005; Code =:= 5007 -> [_] = maps:get('Failed-AVP', A);
names_failed(_, _) -> ok.

%% --- diameter's service and callbacks ------------------------------------------------------------------------------------------------

connect(Name, Host, Realm, Pki, Mas, Port, Apps) ->
    ok = diameter:start_service(Name,
        [{'Origin-Host', Host}, {'Origin-Realm', Realm}, {'Vendor-Id', 0}, {'Product-Name', "erl"},
         {'Auth-Application-Id', [Id || {_, _, Id} <- Apps]}, {decode_format, map}, {string_decode, false}
         | [{application, [{alias, A}, {dictionary, D}, {module, ?MODULE}, {answer_errors, report}]} || {A, D, _} <- Apps]]),
    true = diameter:subscribe(Name),
    [Cert | _] = string:split(Host, "."),
    {ok, _} = diameter:add_transport(Name, {connect,
        [{transport_module, diameter_tcp}, {connect_timer, 1000}, {transport_config,
            [{raddr, {127, 0, 0, 1}}, {rport, Port}, {ssl_options, true}, {versions, ['tlsv1.3']}, {verify, verify_peer},
             {server_name_indication, Mas}, {cacertfile, filename:join(Pki, "diameter-ca.pem")},
             {certfile, filename:join(Pki, Cert ++ ".pem")}, {keyfile, filename:join(Pki, Cert ++ ".key")}]}]}),
    receive
        #diameter_event{service = Name, info = Info} when element(1, Info) =:= up -> ok
    after 15000 -> io:format("FAILED: ~s could not connect to ~s~n", [Host, Mas]), halt(1)
    end.

peer_up(_, _, S) -> S.
peer_down(_, _, S) -> S.
pick_peer([Peer | _], _, _, _) -> {ok, Peer};
pick_peer([], _, _, _) -> false.
prepare_request(Packet, _, _) -> {send, Packet}.
prepare_retransmit(Packet, _, _) -> {send, Packet}.
handle_answer(Packet, _, _, _) -> Packet.
handle_error(Reason, _, _, _) -> {error, Reason}.
handle_request(_, _, _) -> {protocol_error, 3001}.
