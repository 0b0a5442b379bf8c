// An SSH client on golang.org/x/crypto/ssh that does one task; peers/driver.ts says what its arguments mean.
package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

type request struct {
	values map[string][]string
	order  [][2]string
}

func (r request) one(name string) string {
	if values := r.values[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

func main() {
	r := request{values: map[string][]string{}}
	for _, word := range os.Args[1:] {
		name, value, _ := strings.Cut(word, "=")
		r.values[name] = append(r.values[name], value)
		r.order = append(r.order, [2]string{name, value})
	}
	code, err := do(r)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(255)
	}
	os.Exit(code)
}

func do(r request) (int, error) {
	if r.one("task") == "algorithms" {
		return 0, printAlgorithms()
	}
	client, err := connect(r)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	switch r.one("task") {
	case "run":
		return run(client, r)
	case "connect":
		return 0, carryStreams(client, r.one("to"))
	case "transfer":
		return 0, transfer(client, r)
	case "forward":
		return 0, forward(client, r)
	case "parallel":
		return 0, parallel(client, r.values["command"])
	}
	return 0, errors.New("no such task")
}

func printAlgorithms() error {
	known, old := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
	for _, line := range []struct {
		name  string
		lists [][]string
	}{
		{"kex", [][]string{known.KeyExchanges, old.KeyExchanges}},
		{"hostKeys", [][]string{known.HostKeys, old.HostKeys}},
		{"ciphers", [][]string{known.Ciphers, old.Ciphers}},
		{"macs", [][]string{known.MACs, old.MACs}},
		{"publicKeys", [][]string{known.PublicKeyAuths, old.PublicKeyAuths, certificateTypes}},
	} {
		var names []string
		for _, list := range line.lists {
			names = append(names, list...)
		}
		fmt.Printf("%s=%s\n", line.name, strings.Join(names, ","))
	}
	return nil
}

var certificateTypes = []string{
	ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
	ssh.CertAlgoRSASHA256v01, ssh.CertAlgoRSASHA512v01,
}

func connect(r request) (*ssh.Client, error) {
	config := &ssh.ClientConfig{User: r.one("user"), HostKeyCallback: believe(r.values["hostKey"])}
	for name, list := range map[string]*[]string{
		"kex": &config.KeyExchanges, "cipher": &config.Ciphers, "mac": &config.MACs,
		"hostKeyAlgorithm": &config.HostKeyAlgorithms,
	} {
		*list = r.values[name]
	}
	if bytes := r.one("rekeyBytes"); bytes != "" {
		config.RekeyThreshold, _ = strconv.ParseUint(bytes, 10, 64)
	}
	for index, word := range r.order {
		switch word[0] {
		case "password":
			config.Auth = append(config.Auth, ssh.Password(word[1]))
		case "answer":
			config.Auth = append(config.Auth, ssh.KeyboardInteractive(
				func(_, _ string, questions []string, _ []bool) ([]string, error) {
					answers := make([]string, len(questions))
					for at := range answers {
						answers[at] = word[1]
					}
					return answers, nil
				}))
		case "key":
			signer, err := readKey(word[1], r.order[index+1:])
			if err != nil {
				return nil, err
			}
			config.Auth = append(config.Auth, ssh.PublicKeys(signer))
		}
	}
	return ssh.Dial("tcp", net.JoinHostPort(r.one("host"), r.one("port")), config)
}

func believe(lines []string) ssh.HostKeyCallback {
	return func(_ string, _ net.Addr, key ssh.PublicKey) error {
		shown := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
		for _, line := range lines {
			if line == shown {
				return nil
			}
		}
		return errors.New("this host key is not known")
	}
}

// readKey also takes the certificate and signature that stand behind the key.
func readKey(file string, rest [][2]string) (ssh.Signer, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(content)
	for at := 0; err == nil && at < len(rest) && (rest[at][0] == "certificate" || rest[at][0] == "signature"); at++ {
		if rest[at][0] == "signature" {
			signer, err = ssh.NewSignerWithAlgorithms(signer.(ssh.AlgorithmSigner), []string{rest[at][1]})
			continue
		}
		var public ssh.PublicKey
		if content, err = os.ReadFile(rest[at][1]); err != nil {
			return nil, err
		}
		if public, _, _, _, err = ssh.ParseAuthorizedKey(content); err == nil {
			signer, err = ssh.NewCertSigner(public.(*ssh.Certificate), signer)
		}
	}
	return signer, err
}

func run(client *ssh.Client, r request) (int, error) {
	session, err := client.NewSession()
	if err != nil {
		return 0, err
	}
	defer session.Close()
	// Wait would wait for the end of os.Stdin as well, which the server does not bring about.
	input, err := session.StdinPipe()
	if err != nil {
		return 0, err
	}
	go func() {
		io.Copy(input, os.Stdin)
		input.Close()
	}()
	for _, each := range r.values["environment"] {
		name, value, _ := strings.Cut(each, "=")
		if err := session.Setenv(name, value); err != nil {
			return 0, err
		}
	}
	if term := r.one("pty"); term != "" {
		if err := session.RequestPty(term, 24, 80, ssh.TerminalModes{ssh.ECHO: 0}); err != nil {
			return 0, err
		}
	}
	if socket := r.one("agent"); socket != "" {
		if err := agent.ForwardToRemote(client, socket); err != nil {
			return 0, err
		}
		if err := agent.RequestAgentForwarding(session); err != nil {
			return 0, err
		}
	}
	if name := r.one("subsystem"); name != "" {
		return 0, runSubsystem(session, name)
	}
	session.Stdout, session.Stderr = os.Stdout, os.Stderr
	if command := r.one("command"); command != "" {
		err = session.Start(command)
	} else {
		err = session.Shell()
	}
	if err != nil {
		return 0, err
	}
	return exitStatus(session.Wait())
}

// runSubsystem does without an exit status, which the library keeps to itself here.
func runSubsystem(session *ssh.Session, name string) error {
	output, err := session.StdoutPipe()
	if err != nil {
		return err
	}
	if err := session.RequestSubsystem(name); err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, output)
	return err
}

func exitStatus(err error) (int, error) {
	if exit, ok := errors.AsType[*ssh.ExitError](err); ok {
		return exit.ExitStatus(), nil
	}
	return 0, err
}

func parallel(client *ssh.Client, commands []string) error {
	lines := make([]string, len(commands))
	problems := make([]error, len(commands))
	var all sync.WaitGroup
	for at, command := range commands {
		all.Go(func() {
			session, err := client.NewSession()
			if err != nil {
				problems[at] = err
				return
			}
			defer session.Close()
			output, err := session.Output(command)
			code, err := exitStatus(err)
			problems[at] = err
			lines[at] = fmt.Sprintf("%d %s", code, hex.EncodeToString(output))
		})
	}
	all.Wait()
	fmt.Println(strings.Join(lines, "\n"))
	return errors.Join(problems...)
}

func transfer(client *ssh.Client, r request) error {
	files, err := sftp.NewClient(client)
	if err != nil {
		return err
	}
	defer files.Close()
	for _, word := range r.order {
		local, remote, _ := strings.Cut(word[1], ":")
		switch word[0] {
		case "put":
			err = copyFile(func() (io.ReadCloser, error) { return os.Open(local) },
				func() (io.WriteCloser, error) { return files.Create(remote) })
		case "get":
			err = copyFile(func() (io.ReadCloser, error) { return files.Open(remote) },
				func() (io.WriteCloser, error) { return os.Create(local) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(open func() (io.ReadCloser, error), create func() (io.WriteCloser, error)) error {
	source, err := open()
	if err != nil {
		return err
	}
	defer source.Close()
	sink, err := create()
	if err != nil {
		return err
	}
	_, err = io.Copy(sink, source)
	return errors.Join(err, sink.Close())
}

// network is unix for a place that is a path.
func network(place string) string {
	if strings.HasPrefix(place, "/") {
		return "unix"
	}
	return "tcp"
}

func carryStreams(client *ssh.Client, place string) error {
	connection, err := client.Dial(network(place), place)
	if err != nil {
		return err
	}
	go func() {
		io.Copy(connection, os.Stdin)
		connection.(interface{ CloseWrite() error }).CloseWrite()
	}()
	_, err = io.Copy(os.Stdout, connection)
	return err
}

func forward(client *ssh.Client, r request) error {
	for _, word := range r.order {
		from, to, _ := strings.Cut(word[1], " ")
		var listener net.Listener
		var err error
		dial := net.Dial
		switch word[0] {
		case "local":
			listener, err = net.Listen(network(from), from)
			dial = client.Dial
		case "remote":
			listener, err = client.Listen(network(from), from)
		default:
			continue
		}
		if err != nil {
			return err
		}
		go accept(listener, func() (net.Conn, error) { return dial(network(to), to) })
	}
	return client.Wait()
}

func accept(listener net.Listener, dial func() (net.Conn, error)) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer near.Close()
			far, err := dial()
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			defer far.Close()
			var both sync.WaitGroup
			both.Go(func() { copyHalf(near, far) })
			both.Go(func() { copyHalf(far, near) })
			both.Wait()
		}()
	}
}

func copyHalf(to, from net.Conn) {
	io.Copy(to, from)
	to.(interface{ CloseWrite() error }).CloseWrite()
}
