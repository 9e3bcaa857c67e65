%% SPDX-License-Identifier: BSD-2-Clause
%% What the Erlang peers share: services over TLS 1.3, requests, and what is checked of every answer, whatever it says: that Erlang's
%% strict decoder has nothing to complain about, the head, one result, and the Failed-AVP that RFC 6733 7.1.5 and 7.5 ask for.
-module(m2m_dia).
-export([start/0, connect/7, listen/6, call/7, seen/1, codes/1, success/1, refused/2, refused/3, session/2, run/2]).
-export([peer_up/3, peer_down/3, pick_peer/4, prepare_request/3, prepare_retransmit/3, handle_answer/4, handle_error/4,
         handle_request/3]).
-include_lib("diameter/include/diameter.hrl").

-define(VENDOR, 32473).

start() ->
    ok = application:ensure_started(crypto),
    {ok, _} = application:ensure_all_started(ssl),
    ok = diameter:start(),
    seen = ets:new(seen, [named_table, public, ordered_set]),
    ok.

%% Every test, one after the other; how many failed.
run(Tests, Env) ->
    Results = [run_one(T, Env) || T <- Tests],
    io:format("Ran ~b tests~n", [length(Results)]),
    length([x || failed <- Results]).

run_one({Name, Fun}, Env) ->
    try Fun(Env) of
        _ -> io:format("ok ~s~n", [Name]), ok
    catch
        C:E:S -> io:format("FAILED ~s: ~p:~p~n~p~n", [Name, C, E, S]), failed
    end.

%% --- requests and answers ---------------------------------------------------------------------------------------------------------

%% The answer, checked. To: the server's name, for seen/1.
call(Service, To, App, AppId, Command, Head, Avps) ->
    #{'Origin-Host' := Host} = Head,
    Request = [Command | maps:merge(maps:merge(#{'Session-Id' => diameter:session_id(Host), 'Auth-Application-Id' => AppId,
                                                 'Auth-Session-State' => 1}, Head), Avps)],
    case diameter:call(Service, App, Request, [{timeout, 20000}]) of
        #diameter_packet{msg = ['answer-message' | Answer], errors = [], header = #diameter_header{is_error = true, is_proxiable = true}} ->
            [Code] = codes(Answer),
            note(To, Code),
            Answer;
        #diameter_packet{msg = [_ | Answer], errors = [], header = #diameter_header{is_proxiable = true, is_error = false}} ->
            session(Request, Answer),
            1 = maps:get('Auth-Session-State', Answer),
            AppId = maps:get('Auth-Application-Id', Answer),
            [Code] = codes(Answer),
            [?VENDOR = maps:get('Vendor-Id', E) || E <- maps:get('Experimental-Result', Answer, [])],
            note(To, Code),
            Answer;
        Other -> error({bad_answer, Other})
    end.

session([_ | Request], Answer) ->
    true = maps:get('Session-Id', Request) =:= iolist_to_binary(maps:get('Session-Id', Answer))
        orelse iolist_to_binary(maps:get('Session-Id', Request)) =:= iolist_to_binary(maps:get('Session-Id', Answer)).

note(To, Code) -> ets:insert(seen, {{To, Code}}).

%% The codes that a server gave so far.
seen(To) -> [C || [C] <- ets:match(seen, {{To, '$1'}})].

%% Result-Code or the code in Experimental-Result, whichever there is; both would be two.
codes(A) ->
    result(maps:get('Result-Code', A, []))
        ++ [maps:get('Experimental-Result-Code', E) || E <- maps:get('Experimental-Result', A, [])].

result(L) when is_list(L) -> L;
result(N) -> [N].  % in an answer-message it is required

success(A) ->
    [2001] = codes(A),
    [] = maps:get('Key-Status', A, []),
    [] = maps:get('Failed-AVP', A, []),
    A.

refused(Code, A) ->
    false = lists:member(Code, [5001, 5004, 5005, 5007, 5009, 5014]),  % these name an AVP
    [Code] = codes(A),
    [] = maps:get('M2M-Key', A, []),
    [] = maps:get('Failed-AVP', A, []),
    A.

%% What: the code of the AVP that it is about, or {Group, Code} for one in a group.
refused(Code, What, A) ->
    [Code] = codes(A),
    [] = maps:get('M2M-Key', A, []),
    [Failed] = maps:get('Failed-AVP', A),
    [Avp] = flat(Failed),
    is_about(What, Avp),
    A.

is_about({Group, Inner}, #diameter_avp{code = Group, data = Data}) -> [Inner] = inner(Data);
is_about(Code, #diameter_avp{code = Code}) -> ok;
is_about(What, Avp) -> error({failed_avp, What, Avp}).

flat(#{'AVP' := Avps}) -> lists:map(fun([H | _]) -> H; (A) -> A end, Avps).

%% The codes of the AVPs in a group.
inner(<<Code:32, Flags:8, Len:24, Rest/binary>>) ->
    Head = case Flags band 16#80 of 0 -> 8; _ -> 12 end,
    Skip = min((Len - 8 + 3) band (bnot 3), byte_size(Rest)),
    true = Len >= Head,
    <<_:Skip/binary, More/binary>> = Rest,
    [Code | inner(More)];
inner(<<>>) -> [].

%% --- services ------------------------------------------------------------------------------------------------------------------------

service(Name, Host, Realm, Apps) ->
    ok = diameter:start_service(Name,
        [{'Origin-Host', Host}, {'Origin-Realm', Realm}, {'Vendor-Id', 0}, {'Product-Name', "erl"},
         {'Auth-Application-Id', [Id || {_, _, Id, _} <- Apps]}, {decode_format, map}, {string_decode, false}
         | [{application, [{alias, A}, {dictionary, D}, {module, M}, {answer_errors, report}, {request_errors, answer_3xxx}]}
            || {A, D, _, M} <- Apps]]),
    true = diameter:subscribe(Name).

tls(Host, Pki) ->
    [Cert | _] = string:split(Host, "."),
    [{ssl_options, true}, {versions, ['tlsv1.3']}, {verify, verify_peer}, {cacertfile, filename:join(Pki, "diameter-ca.pem")},
     {certfile, filename:join(Pki, Cert ++ ".pem")}, {keyfile, filename:join(Pki, Cert ++ ".key")}].

connect(Name, Host, Realm, Pki, Server, Port, Apps) ->
    service(Name, Host, Realm, [case App of {A, D, Id} -> {A, D, Id, ?MODULE}; _ -> App end || App <- Apps]),
    {ok, _} = diameter:add_transport(Name, {connect,
        [{transport_module, diameter_tcp}, {connect_timer, 1000},
         {transport_config, [{raddr, {127, 0, 0, 1}}, {rport, Port}, {server_name_indication, Server} | tls(Host, Pki)]}]}),
    receive
        #diameter_event{service = Name, info = Info} when element(1, Info) =:= up -> ok
    after 30000 -> io:format("FAILED: ~s could not connect to ~s~n", [Host, Server]), halt(1)
    end.

listen(Name, Host, Realm, Pki, Port, Apps) ->
    service(Name, Host, Realm, Apps),
    {ok, Ref} = diameter:add_transport(Name, {listen,
        [{transport_module, diameter_tcp},
         {transport_config, [{ip, {127, 0, 0, 1}}, {port, Port}, {reuseaddr, true}, {fail_if_no_peer_cert, true} | tls(Host, Pki)]}]}),
    Ref.

peer_up(_, _, S) -> S.
peer_down(_, _, S) -> S.
pick_peer([Peer | _], _, _, _) -> {ok, Peer};
pick_peer([], _, _, _) -> false.
prepare_request(Packet, _, _) -> {send, Packet}.
prepare_retransmit(Packet, _, _) -> {send, Packet}.
handle_answer(Packet, _, _, _) -> Packet.
handle_error(Reason, _, _, _) -> {error, Reason}.
handle_request(_, _, _) -> {protocol_error, 3001}.
