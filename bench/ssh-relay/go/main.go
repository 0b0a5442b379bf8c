// The Go side of the bench of SSH relays: the relay that Berth's is held against, and the clients and the server
// that load one. What listens prints its port, as one line, when it is ready.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"golang.org/x/crypto/ssh"
)

func main() {
	commands := map[string]func([]string){
		"relay": relay, "server": server, "logins": logins, "idle": idle, "echo": echo,
	}
	commands[os.Args[1]](os.Args[2:])
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func listen(serve func(net.Conn)) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := listener.Accept()
		check(err)
		go serve(conn)
	}
}

// serverConfig lets in those whose keys stand in a file like authorized_keys.
func serverConfig(hostKey, clientKeys string) *ssh.ServerConfig {
	allowed, err := readKeys(clientKeys)
	check(err)
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			blob := key.Marshal()
			if slices.ContainsFunc(allowed, func(each []byte) bool { return bytes.Equal(each, blob) }) {
				return nil, nil
			}
			return nil, errors.New("unknown key")
		},
	}
	config.AddHostKey(readSigner(hostKey))
	return config
}

// readKeys returns the keys of a file like authorized_keys, in the wire format.
func readKeys(file string) ([][]byte, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	for len(bytes.TrimSpace(rest)) > 0 {
		var key ssh.PublicKey
		key, _, _, rest, err = ssh.ParseAuthorizedKey(rest)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key.Marshal())
	}
	return keys, nil
}

func only(name string) []string {
	if name == "" {
		return nil
	}
	return []string{name}
}

func readSigner(file string) ssh.Signer {
	text, err := os.ReadFile(file)
	check(err)
	signer, err := ssh.ParsePrivateKey(text)
	check(err)
	return signer
}

func readPublicKey(file string) ssh.PublicKey {
	text, err := os.ReadFile(file)
	check(err)
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	check(err)
	return key
}
