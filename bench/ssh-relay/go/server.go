package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// server is an upstream that costs little: one command, "hold", lasts until the client goes; every other ends at
// once with status 0.
func server(arguments []string) {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	hostKey := flags.String("host-key", "", "private key file")
	clientKeys := flags.String("client-keys", "", "file of the public keys that may log in")
	authorities := flags.String("authorities", "", "file of the authorities whose certificates may log in too")
	principals := flags.String("principals", "", "file of the names that those are for")
	keyExchange := flags.String("key-exchange", "", "the only key exchange, instead of the library's defaults")
	flags.Parse(arguments)

	config := serverConfig(*hostKey, *clientKeys)
	config.PublicKeyCallback = orCertificate(config.PublicKeyCallback, *authorities, *principals)
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

type keyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error)

// orCertificate takes certificates in the way of sshd's TrustedUserCAKeys and AuthorizedPrincipalsFile: both files are
// read at each login.
func orCertificate(plain keyCallback, authorities, principals string) keyCallback {
	return func(conn ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		certificate, ok := key.(*ssh.Certificate)
		if !ok {
			return plain(conn, key)
		}
		keys, err := readKeys(authorities)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(keys, func(each []byte) bool {
			return bytes.Equal(each, certificate.SignatureKey.Marshal())
		}) {
			return nil, errors.New("unknown authority")
		}
		names, err := os.ReadFile(principals)
		if err != nil {
			return nil, err
		}
		err = errors.New("no principals")
		for _, name := range strings.Fields(string(names)) {
			if err = (&ssh.CertChecker{}).CheckCert(name, certificate); err == nil {
				break
			}
		}
		return nil, err
	}
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
