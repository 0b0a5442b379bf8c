package main

import (
	"flag"
	"io"
	"net"

	"golang.org/x/crypto/ssh"
)

// server is an upstream that costs little: one command, "hold", lasts until the client goes; every other ends at
// once with status 0.
func server(arguments []string) {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	hostKey := flags.String("host-key", "", "private key file")
	clientKeys := flags.String("client-keys", "", "file of the public keys that may log in")
	keyExchange := flags.String("key-exchange", "", "the only key exchange, instead of the library's defaults")
	flags.Parse(arguments)

	config := serverConfig(*hostKey, *clientKeys)
	config.KeyExchanges = only(*keyExchange)
	listen(func(conn net.Conn) {
		_, channels, requests, err := ssh.NewServerConn(conn, config)
		if err != nil {
			conn.Close()
			return
		}
		go ssh.DiscardRequests(requests)
		for channel := range channels {
			go serveSession(channel)
		}
	})
}

func serveSession(offered ssh.NewChannel) {
	channel, requests, err := offered.Accept()
	if err != nil {
		return
	}
	for request := range requests {
		isExec := request.Type == "exec"
		if request.WantReply {
			request.Reply(isExec, nil)
		}
		var command struct{ Line string }
		if !isExec || ssh.Unmarshal(request.Payload, &command) != nil {
			continue
		}
		if command.Line == "hold" {
			go func() {
				io.Copy(io.Discard, channel)
				channel.Close()
			}()
			continue
		}
		channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
		channel.Close()
	}
}
