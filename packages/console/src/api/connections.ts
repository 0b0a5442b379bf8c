/** Gateways tell each second what went over a connection; asked for as often, it is shown within two. */
export const liveEveryMs = 750;
