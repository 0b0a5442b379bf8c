package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// dialer logs in at an address, or through a login there at a second one.
type dialer struct {
	address, jumpTo string
	config          *ssh.ClientConfig
}

func (d dialer) login() (*ssh.Client, error) {
	client, err := ssh.Dial("tcp", d.address, d.config)
	if err != nil || d.jumpTo == "" {
		return client, err
	}
	conn, err := client.Dial("tcp", d.jumpTo)
	if err != nil {
		return nil, err
	}
	inner, channels, requests, err := ssh.NewClientConn(conn, d.jumpTo, d.config)
	if err != nil {
		return nil, err
	}
	return ssh.NewClient(inner, channels, requests), nil
}

func (d dialer) mustLogin() *ssh.Client {
	client, err := d.login()
	check(err)
	return client
}

// clientFlags are those that every kind of client takes.
func clientFlags(name string) (*flag.FlagSet, *dialer, func([]string)) {
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	d := &dialer{}
	flags.StringVar(&d.address, "address", "", "address to log in at")
	flags.StringVar(&d.jumpTo, "jump-to", "", "address to log in at through the first one")
	user := flags.String("user", "", "user name")
	key := flags.String("key", "", "private key file")
	keyExchange := flags.String("key-exchange", "", "the only key exchange, instead of the library's defaults")
	return flags, d, func(arguments []string) {
		flags.Parse(arguments)
		d.config = &ssh.ClientConfig{
			User:            *user,
			Auth:            []ssh.AuthMethod{ssh.PublicKeys(readSigner(*key))},
			HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		}
		d.config.KeyExchanges = only(*keyExchange)
	}
}

// logins logs in again and again, several at a time, running one command each time. Prints {logins, failed, seconds}.
func logins(arguments []string) {
	flags, d, parse := clientFlags("logins")
	parallel := flags.Int("parallel", 8, "logins at a time")
	seconds := flags.Float64("seconds", 2, "for how long to start new ones")
	parse(arguments)

	began := time.Now()
	deadline := began.Add(time.Duration(*seconds * float64(time.Second)))
	var count, failed int
	var lock sync.Mutex
	var group sync.WaitGroup
	for range *parallel {
		group.Go(func() {
			for time.Now().Before(deadline) {
				err := loginOnce(*d)
				lock.Lock()
				if err == nil {
					count++
				} else {
					failed++
					fmt.Fprintln(os.Stderr, err)
				}
				lock.Unlock()
			}
		})
	}
	group.Wait()
	print(map[string]any{"logins": count, "failed": failed, "seconds": time.Since(began).Seconds()})
}

func loginOnce(d dialer) error {
	client, err := d.login()
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	return session.Run("true")
}

// idle opens connections with one session each and keeps them until standard input ends. Prints {open}.
func idle(arguments []string) {
	flags, d, parse := clientFlags("idle")
	count := flags.Int("count", 1, "connections")
	parse(arguments)

	limit := make(chan struct{}, 8)
	var group sync.WaitGroup
	for range *count {
		limit <- struct{}{}
		group.Go(func() {
			session, err := d.mustLogin().NewSession()
			check(err)
			check(session.Start("hold"))
			<-limit
		})
	}
	group.Wait()
	print(map[string]any{"open": *count})
	io.Copy(io.Discard, os.Stdin)
}

// echo sends single bytes to cat and waits for each. Prints {microseconds: [...]}.
func echo(arguments []string) {
	flags, d, parse := clientFlags("echo")
	count := flags.Int("count", 1, "bytes")
	pause := flags.Duration("pause", 5*time.Millisecond, "between an answer and the next byte")
	parse(arguments)

	session, err := d.mustLogin().NewSession()
	check(err)
	input, err := session.StdinPipe()
	check(err)
	output, err := session.StdoutPipe()
	check(err)
	check(session.Start("cat"))
	exchange := func() int64 {
		began := time.Now()
		_, err := input.Write([]byte{'x'})
		check(err)
		_, err = io.ReadFull(output, make([]byte, 1))
		check(err)
		return time.Since(began).Microseconds()
	}
	exchange() // until cat has started
	times := make([]int64, *count)
	for index := range times {
		time.Sleep(*pause)
		times[index] = exchange()
	}
	print(map[string]any{"microseconds": times})
}

func print(value any) {
	text, err := json.Marshal(value)
	check(err)
	fmt.Println(string(text))
}
