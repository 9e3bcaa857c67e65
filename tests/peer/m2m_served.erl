%% SPDX-License-Identifier: BSD-2-Clause
%% What comes to the Erlang MTF and CSE: the requests that our MAS makes (KFR, KNR), read strictly, and answered as the test wants.
-module(m2m_served).
-export([start/1, answers/2, times/2, asked/0, bad/0]).
-export([peer_up/3, peer_down/3, pick_peer/4, prepare_request/3, prepare_retransmit/3, handle_answer/4, handle_error/4,
         handle_request/3]).
-include_lib("diameter/include/diameter.hrl").

-define(VENDOR, 32473).

%% Keys: the root keys that a fetch gets, in order.
start(Keys) ->
    served = ets:new(served, [named_table, public, bag]),
    ets:insert(served, {keys, Keys}).

%% How a request that names Name first is answered: by each of Ways in turn, then well.
answers(Name, Ways) -> ets:insert(served, {{ways, Name}, Ways}).

%% How often a command came with that name first; the commands that came; and what strict reading found in them.
times(Command, Name) -> length([x || {_, N, _} <- ets:lookup(served, {came, Command}), N =:= Name]).
asked() -> lists:usort([C || [C] <- ets:match(served, {{came, '$1'}, '_', '_'}), C =/= page]).
bad() -> [B || {bad, B} <- ets:lookup(served, bad)].

handle_request(#diameter_packet{msg = [Command | R], errors = [], header = H} = P, Service, {_, Caps}) ->
    try
        head(Command, R, H, Caps),
        content(Command, R)
    catch
        _:E:S -> ets:insert(served, {bad, {Command, E, S}})
    end,
    Name = case maps:get('Key-Name', R, []) of [N | _] -> N; [] -> <<>> end,
    Before = times(Command, Name),
    ets:insert(served, {{came, Command}, Name, erlang:unique_integer()}),
    reply(way(Name, Before), Command, Service, P);
handle_request(#diameter_packet{msg = [Command | _], errors = Errors}, _, _) ->
    ets:insert(served, {bad, {Command, Errors}}),
    {protocol_error, 3001}.

head(_, R, #diameter_header{is_proxiable = true, is_error = false, application_id = App},
     #diameter_caps{origin_host = {Us, Them}, origin_realm = {_, Realm}}) ->
    App = maps:get('Auth-Application-Id', R),
    1 = maps:get('Auth-Session-State', R),
    Text = fun(N) -> iolist_to_binary(maps:get(N, R)) end,
    true = Text('Origin-Host') =:= iolist_to_binary(Them),
    true = Text('Origin-Realm') =:= iolist_to_binary(Realm),
    true = Text('Destination-Realm') =:= iolist_to_binary(Realm),
    true = Text('Destination-Host') =:= iolist_to_binary(Us),
    [Them0, _ | _] = binary:split(Text('Session-Id'), <<";">>, [global]),
    true = Them0 =:= iolist_to_binary(Them),
    [] = maps:get('AVP', R, []).  % nothing that the grammar does not name

content('KNR', #{'Key-Event' := Event, 'Key-Name' := Names} = R) ->
    true = lists:member(Event, [1, 2, 3, 4]),
    true = length(Names) >= 1 andalso length(Names) =< 256,
    [true = lists:member(N, [1, 2, 3, 4, 5]) || N <- maps:get('Revocation-Reason', R, [])];
content('KFR', R) ->
    true = maps:get('Key-Name', R, []) =:= [] orelse maps:get('Page-Cursor', R, []) =:= [].

way(Name, Before) ->
    case ets:lookup(served, {ways, Name}) of
        [{_, Ways}] when Before < length(Ways) -> lists:nth(Before + 1, Ways);
        _ -> good
    end.

reply(good, 'KNR', _, #diameter_packet{msg = [_ | R]}) -> {reply, ['KNA' | success(R)]};
reply(good, 'KFR', packed, #diameter_packet{msg = [_ | R]}) -> {reply, ['KFA' | result(5003, success(R))]};
reply(good, 'KFR', _, #diameter_packet{msg = [_ | R]}) -> {reply, ['KFA' | page(R, success(R))]};
reply(N, _, _, _) when is_integer(N), N < 4000 -> {protocol_error, N};
reply(error_bit, Command, _, #diameter_packet{msg = [_ | R], header = H}) ->
    {reply, #diameter_packet{header = H#diameter_header{is_request = false, is_error = true}, msg = [answer(Command) | success(R)]}};
reply(other_session, Command, _, #diameter_packet{msg = [_ | R]}) ->
    {reply, [answer(Command) | (success(R))#{'Session-Id' => <<"another;1;1">>}]};
reply(both_results, Command, _, #diameter_packet{msg = [_ | R]}) ->
    {reply, [answer(Command) | (success(R))#{'Experimental-Result' => [#{'Vendor-Id' => ?VENDOR, 'Experimental-Result-Code' => 4181}]}]};
reply(N, Command, _, #diameter_packet{msg = [_ | R]}) -> {reply, [answer(Command) | result(N, success(R))]}.

answer('KNR') -> 'KNA';
answer('KFR') -> 'KFA'.

%% Three keys and a cursor, then the rest; by name we know none.
page(#{'Key-Name' := [_ | _]}, A) -> result(5501, A);
page(R, A) ->
    [{_, Keys}] = ets:lookup(served, keys),
    ets:insert(served, {{came, page}, maps:get('Page-Cursor', R, []), erlang:unique_integer()}),
    case maps:get('Page-Cursor', R, []) of
        [] -> A#{'M2M-Key' => lists:sublist(Keys, 3), 'Page-Cursor' => [<<"three", 0, 255>>]};
        [<<"three", 0, 255>>] -> A#{'M2M-Key' => lists:nthtail(3, Keys)}
    end.

result(N, A) when N > 5500; N > 4180, N < 4200 ->
    maps:remove('Result-Code', A#{'Experimental-Result' => [#{'Vendor-Id' => ?VENDOR, 'Experimental-Result-Code' => N}]});
result(N, A) -> A#{'Result-Code' => [N]}.

success(#{'Session-Id' := S, 'Auth-Application-Id' := App, 'Destination-Host' := Us, 'Destination-Realm' := Realm}) ->
    #{'Session-Id' => S, 'Auth-Application-Id' => App, 'Auth-Session-State' => 1, 'Origin-Host' => Us, 'Origin-Realm' => Realm, 'Result-Code' => [2001]}.

peer_up(_, _, S) -> S.
peer_down(_, _, S) -> S.
pick_peer(L, R, Service, S) -> m2m_dia:pick_peer(L, R, Service, S).
prepare_request(Packet, _, _) -> {send, Packet}.
prepare_retransmit(Packet, _, _) -> {send, Packet}.
handle_answer(Packet, _, _, _) -> Packet.
handle_error(Reason, _, _, _) -> {error, Reason}.
