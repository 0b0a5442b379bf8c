package main

import (
	"flag"
	"net"

	"golang.org/x/crypto/ssh"
)

// relay authenticates a client by its key, logs in upstream with a key of its own, and passes packets on both ways.
// Keys are read once; the library's defaults stand.
func relay(arguments []string) {
	flags := flag.NewFlagSet("relay", flag.ExitOnError)
	upstream := flags.String("upstream", "", "address of the upstream server")
	user := flags.String("user", "", "user name there")
	hostKey := flags.String("host-key", "", "private key file")
	clientKeys := flags.String("client-keys", "", "file of the public keys that may log in")
	upstreamKey := flags.String("upstream-key", "", "private key file for the upstream login")
	upstreamHostKey := flags.String("upstream-host-key", "", "public key file of the upstream server")
	flags.Parse(arguments)

	server := serverConfig(*hostKey, *clientKeys)
	client := &ssh.ClientConfig{
		User:            *user,
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(readSigner(*upstreamKey))},
		HostKeyCallback: ssh.FixedHostKey(readPublicKey(*upstreamHostKey)),
	}
	listen(func(downstream net.Conn) {
		defer downstream.Close()
		accepted, err := ssh.ServerPackets(downstream, server)
		if err != nil {
			return
		}
		dialed, err := net.Dial("tcp", *upstream)
		if err != nil {
			return
		}
		defer dialed.Close()
		joined, err := ssh.ClientPackets(dialed, client)
		if err != nil {
			return
		}
		go func() {
			joined.CopyTo(accepted)
			downstream.Close()
		}()
		accepted.CopyTo(joined)
	})
}
