%% SPDX-License-Identifier: BSD-2-Clause
%% An independent server: Erlang/OTP's diameter in the place of the MAS, or (HOST is mtf...) of the MTF. It reads strictly, and answers as it
%% is told.
%%
%% erl -noshell -pa DIR -run m2m_false_mas main HOST PORT REALM PKI CSF-HOST
%% Lines on standard input: "WAY" how it answers from now on, one of answer/4's; "release" the answers that are held back;
%% "notify KI" performs the KNRs of knr_tests() at the CSF, which asked for KI before. To standard output: "ready"; for each request that
%% comes "request COMMAND NAME", where strict reading found nothing, else "bad COMMAND ERRORS"; "Ran N tests" and "done FAILED" of KNRs.
%% The association key of KI is SHA-256(KI).
-module(m2m_false_mas).
-export([main/1, handle_request/3]).
-export([peer_up/3, peer_down/3, pick_peer/4, prepare_request/3, prepare_retransmit/3, handle_answer/4, handle_error/4]).
-include_lib("diameter/include/diameter.hrl").
-import(m2m_dia, [success/1, refused/2, refused/3]).

-define(VENDOR, 32473).
-define(RP, 4031590913).
-define(RKM, 4031590914).
-define(SAK, 4031590915).

-record(env, {host, realm, csf, ki}).

main([Host, Port, Realm, Pki, Csf]) ->
    m2m_dia:start(),
    way = ets:new(way, [named_table, public]),
    ets:insert(way, {way, "good"}),
    m2m_dia:listen(mas, Host, Realm, Pki, list_to_integer(Port),
        case Host of
            "mtf" ++ _ -> [{rp, m2m_rp, ?RP, ?MODULE}];
            _ -> [{rkm, m2m_rkm, ?RKM, ?MODULE}, {sak, m2m_sak, ?SAK, ?MODULE}]
        end),
    io:format("ready~n"),
    loop(#env{host = Host, realm = Realm, csf = Csf}).

loop(Env) ->
    case io:get_line("") of
        eof -> halt(0);
        Line -> told(string:lexemes(Line, " \n"), Env), loop(Env)
    end.

told(["release"], _) -> [P ! release || {{held, P}} <- ets:tab2list(way)];
told(["notify", Ki], Env) ->
    Failed = m2m_dia:run(knr_tests(), Env#env{ki = list_to_binary(Ki)}),
    io:format("done ~b~n", [Failed]);
told([Way], _) -> ets:insert(way, {way, Way}), io:format("way ~s~n", [Way]).

%% --- requests that come -------------------------------------------------------------------------------------------------------------

handle_request(#diameter_packet{msg = [Command | Avps], errors = []} = Packet, _, {Peer, Caps}) ->
    [io:format("bad ~s head~n", [Command]) || not good_head(Avps, Packet#diameter_packet.header, Caps)],
    io:format("request ~s ~s~n", [Command, name(Command, Avps)]),
    [{way, Way}] = ets:lookup(way, way),
    reply(Way, Command, Packet, Peer);
handle_request(#diameter_packet{msg = [Command | _], errors = Errors}, _, _) ->
    io:format("bad ~s ~0p~n", [Command, Errors]),
    {protocol_error, 3001}.

%% What the decoder does not look at.
good_head(#{'Auth-Session-State' := 1, 'Auth-Application-Id' := App, 'Session-Id' := Session} = R,
          #diameter_header{is_proxiable = true, is_error = false, application_id = App},
          #diameter_caps{origin_host = {Us, Them}, origin_realm = {OurRealm, Realm}}) ->
    Is = fun(N, Want) -> case maps:get(N, R, []) of [] -> N =:= 'Destination-Host'; [V] -> same(V, Want); V -> same(V, Want) end end,
    [Begin | _] = binary:split(iolist_to_binary(Session), <<";">>),
    same(Begin, Them) andalso Is('Origin-Host', Them) andalso Is('Origin-Realm', Realm) andalso Is('Destination-Realm', OurRealm)
        andalso Is('Destination-Host', Us) andalso maps:get('AVP', R, []) =:= [];
good_head(_, _, _) -> false.

same(A, B) -> iolist_to_binary(A) =:= iolist_to_binary(B).

name('RPR', #{'Provisioning-Round' := N, 'TLS-Payload' := P} = R) ->
    io_lib:format("~b/~b/~s", [N, byte_size(P), [[$S | binary:encode_hex(S)] || S <- maps:get('State', R, [])]]);
name('KPR', #{'M2M-Key' := [#{'Key-Name' := N}]}) -> N;
name(_, #{'Key-Name' := [N]}) -> N.

reply(_, 'KRR', #diameter_packet{msg = [_ | R]}, _) -> {reply, ['KRA' | head(R)]};
reply("never", _, _, _) -> discard;
reply("close", _, _, Peer) -> exit(Peer, kill), discard;
reply("3002", _, _, _) -> {protocol_error, 3002};
reply("3004", _, _, _) -> {protocol_error, 3004};
reply("late", Command, Packet, Peer) ->
    ets:insert(way, {{held, self()}}),
    receive release -> reply("good", Command, Packet, Peer) end;
reply("error-bit", Command, #diameter_packet{header = H} = P, _) ->
    {reply, #diameter_packet{header = H#diameter_header{is_request = false, is_error = true}, msg = answer("good", Command, P)}};
reply(Way, Command, Packet, _) -> {reply, answer(Way, Command, Packet)}.

answer(Way, 'KPR', #diameter_packet{msg = [_ | R]}) -> ['KPA' | answer(Way, R, name('KPR', R), head(R))];
answer(Way, 'RPR', #diameter_packet{msg = [_ | R]}) -> ['RPA' | answer(Way, R, none, round(R, head(R)))];
answer(Way, 'SKR', #diameter_packet{msg = [_ | R]}) ->
    Ki = name('SKR', R),
    ['SKA' | answer(Way, R, Ki, (head(R))#{'M2M-Key' => [key(Ki)]})].

%% Two rounds, then the end; no TLS, which the CSF does not look into.
round(#{'Provisioning-Round' := 1}, A) ->
    A#{'Result-Code' => [1001], 'Provisioning-Round' => [1], 'State' => [<<"false mtf's state">>], 'Multi-Round-Time-Out' => [30],
       'TLS-Payload' => [<<22, 3, 3, 0, 5, "first">>]};
round(#{'Provisioning-Round' := 2, 'State' := [<<"false mtf's state">>], 'Destination-Host' := [_]}, A) ->
    A#{'Provisioning-Round' => [2], 'TLS-Payload' => [<<23, 3, 3, 0, 4, "last">>]}.

key(Ki) ->
    #{'Key-Name' => Ki, 'Security-Usage-Id' => 32, 'Keying-Material' => [crypto:hash(sha256, Ki)], 'Key-Lifetime' => [600],
      'Enrolee-Id' => [<<"//sp.example.com/erl-node">>]}.

answer("good", _, _, A) -> A;
answer("other-session", _, _, A) -> A#{'Session-Id' => <<"another;1;1">>};
answer("unknown-avp", _, _, A) -> A#{'AVP' => [#diameter_avp{code = 9999, data = <<"x">>}, #diameter_avp{code = 9998, vendor_id = 4711, data = <<>>}]};
answer("unknown-mandatory-avp", _, _, A) -> A#{'AVP' => [#diameter_avp{code = 9999, is_mandatory = true, data = <<"x">>}]};
answer("both-results", _, _, A) -> experimental(5504, A);
answer("no-result", _, _, A) -> maps:remove('Result-Code', A);
answer("other-origin", _, _, A) -> A#{'Origin-Host' => <<"csf.example.com">>};
answer("other-application", _, _, #{'Auth-Application-Id' := ?RP} = A) -> A#{'Auth-Application-Id' => ?SAK};
answer("other-application", _, _, A) -> A#{'Auth-Application-Id' => ?RP};
answer("session-state", _, _, A) -> A#{'Auth-Session-State' => 0};
answer("2002-and-nothing", _, _, A) -> maps:remove('M2M-Key', A#{'Result-Code' => [2002]});
answer("2001-but-status-failed", _, N, A) -> A#{'Key-Status' => [experimental(5504, #{'Key-Name' => N})]};
answer("2002-status-of-another", _, N, A) -> status("00", N, [2001], A#{'Result-Code' => [2002]});
answer("failed-but-status-2001", _, N, A) -> status("", N, [2001], A#{'Result-Code' => [5012]});
answer("1001", _, _, A) -> A#{'Result-Code' => [1001]};
answer("other-vendor-2001", _, _, A) ->
    maps:remove('Result-Code', A#{'Experimental-Result' => [#{'Vendor-Id' => 10415, 'Experimental-Result-Code' => 2001}]});
answer("no-key", _, _, A) -> maps:remove('M2M-Key', A);
answer("two-keys", _, _, #{'M2M-Key' := [K]} = A) -> A#{'M2M-Key' => [K, K]};
answer("no-state", _, _, A) -> maps:remove('State', A);
answer("other-round", _, _, A) -> A#{'Provisioning-Round' => [7]};
answer("other-key", _, N, #{'M2M-Key' := [K]} = A) -> A#{'M2M-Key' => [K#{'Key-Name' => other(N)}]};
answer("short-key", _, _, #{'M2M-Key' := [K]} = A) -> A#{'M2M-Key' => [K#{'Keying-Material' => [binary:copy(<<7>>, 31)]}]};
answer("no-lifetime", _, _, #{'M2M-Key' := [K]} = A) -> A#{'M2M-Key' => [maps:remove('Key-Lifetime', K)]};
answer("root-key", _, _, #{'M2M-Key' := [K]} = A) -> A#{'M2M-Key' => [K#{'Security-Usage-Id' => 21}]};
answer(Code, _, _, A) ->
    case list_to_integer(Code) of
        C when C > 5500; C > 4180, C < 4200 -> maps:without(['M2M-Key', 'State', 'Result-Code'], experimental(C, A));
        C -> maps:without(['M2M-Key', 'State'], A#{'Result-Code' => [C]})
    end.

experimental(Code, A) -> A#{'Experimental-Result' => [#{'Vendor-Id' => ?VENDOR, 'Experimental-Result-Code' => Code}]}.

status(Prefix, Name, Result, A) ->
    N = case Prefix of "" -> Name; _ -> other(Name) end,
    maps:remove('M2M-Key', A#{'Key-Status' => [#{'Key-Name' => N, 'Result-Code' => Result}]}).

other(<<_:2/binary, Rest/binary>>) -> <<"00", Rest/binary>>.

%% The head of a good answer; diameter adds Proxy-Info.
head(#{'Session-Id' := S, 'Auth-Application-Id' := App}) ->
    Host = case App of ?RP -> <<"mtf.example.com">>; _ -> <<"mas.example.com">> end,
    #{'Session-Id' => S, 'Auth-Application-Id' => App, 'Auth-Session-State' => 1, 'Origin-Host' => Host,
      'Origin-Realm' => <<"example.com">>, 'Result-Code' => [2001]}.

%% --- notifications ------------------------------------------------------------------------------------------------------------------

knr_tests() ->
    [{forget_a_key, fun(E) -> success(knr(E, #{})) end}, {forget_it_again, fun(E) -> success(knr(E, #{})) end},
     {forget_by_root_key, fun(E) -> success(knr(E, #{'Key-Name' => [root(E)], 'Revocation-Reason' => [2]})) end},
     {forget_256, fun(E) -> success(knr(E, #{'Key-Name' => [root(E) || _ <- lists:seq(1, 256)]})) end},
     {each_event, fun(E) -> [success(knr(E, #{'Key-Event' => N})) || N <- [1, 2, 3, 4]] end},
     {event_of_a_later_version, fun(E) -> [success(knr(E, #{'Key-Event' => N})) || N <- [5, 4294967295]] end},
     {reason_of_a_later_version, fun(E) -> success(knr(E, #{'Revocation-Reason' => [6]})) end},
     {no_event, fun(E) -> refused(5004, 1110, knr(E, #{'Key-Event' => 0})) end},
     {two_events, fun(E) -> refused(5009, 1110, knr(E, #{'AVP' =>
         [#diameter_avp{code = 1110, vendor_id = ?VENDOR, is_mandatory = true, data = <<1:32>>}]})) end},
     {names_of_both_kinds, fun(E = #env{ki = Ki}) -> success(knr(E, #{'Key-Name' => [Ki, root(E), upper(Ki), root(E)]})) end},
     {no_such_reason, fun(E) -> refused(5004, 1109, knr(E, #{'Revocation-Reason' => [0]})) end},
     {bad_name, fun(E) -> refused(5004, 586, knr(E, #{'Key-Name' => [root(E), <<"*">>]})) end},
     {key_of_another_mas, fun(E) -> refused(5003, knr(E, #{'Key-Name' => [<<(binary:copy(<<"0">>, 32))/binary, "@mas.other.example">>]})) end},
     {too_many, fun(E) -> refused(5009, 586, knr(E, #{'Key-Name' => [root(E) || _ <- lists:seq(1, 256)], 'AVP' =>
         [#diameter_avp{code = 586, is_mandatory = true, data = root(E)}]})) end},
     {unknown_avp, fun(E) -> success(knr(E, #{'AVP' => [#diameter_avp{code = 9999, data = <<"x">>}]})) end},
     {unknown_mandatory_avp, fun(E) -> refused(5001, 9999, knr(E, #{'AVP' => [#diameter_avp{code = 9999, is_mandatory = true, data = <<"x">>}]})) end},
     {wrong_length, fun(E) -> refused(5014, 55, knr(E, #{'AVP' => [#diameter_avp{code = 55, is_mandatory = true, data = <<1>>}]})) end},
     {another_realm, fun(E) -> refused(3002, knr(E, #{'Destination-Host' => <<"elsewhere.example">>})) end}].

upper(Name) -> list_to_binary(string:to_upper(binary_to_list(Name))).

root(#env{ki = Ki, host = Host}) -> iolist_to_binary([binary:part(Ki, 0, 32), "@", Host]).

knr(#env{host = Host, realm = Realm, csf = Csf, ki = Ki}, More) ->
    m2m_dia:call(mas, Csf, sak, ?SAK, 'KNR', #{'Origin-Host' => Host, 'Origin-Realm' => Realm, 'Destination-Realm' => Realm},
                 maps:merge(#{'Destination-Host' => Csf, 'Key-Event' => 1, 'Key-Name' => [Ki]}, More)).

peer_up(_, _, S) -> S.
peer_down(_, _, S) -> S.
pick_peer([Peer | _], _, _, _) -> {ok, Peer};
pick_peer([], _, _, _) -> false.
prepare_request(Packet, _, _) -> {send, Packet}.
prepare_retransmit(Packet, _, _) -> {send, Packet}.
handle_answer(Packet, _, _, _) -> Packet.
handle_error(Reason, _, _, _) -> {error, Reason}.
