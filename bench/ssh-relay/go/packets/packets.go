// Package ssh: this file is added to golang.org/x/crypto/ssh, of which it opens the layer below channels. sshpiper
// does the same with its fork: the library itself hands out channels only, and a relay that joins channels copies
// each byte through the windows of two multiplexers.
package ssh

import "net"

// Packets is an authenticated connection before its multiplexer.
type Packets struct{ transport connTransport }

// ServerPackets shakes hands with a client and authenticates it (RFC 4253, RFC 4252).
func ServerPackets(conn net.Conn, config *ServerConfig) (*Packets, error) {
	full := *config
	full.SetDefaults()
	full.MaxAuthTries = 6
	full.PublicKeyAuthAlgorithms = defaultPubKeyAuthAlgos
	server := &connection{sshConn: sshConn{conn: conn, serverVersion: []byte(packageVersion)}}
	var err error
	if server.clientVersion, err = exchangeVersions(conn, server.serverVersion); err != nil {
		return nil, err
	}
	transport := newServerTransport(
		newTransport(conn, full.Rand, false), server.clientVersion, server.serverVersion, &full)
	server.transport = transport
	if err := transport.waitSession(); err != nil {
		return nil, err
	}
	server.sessionID = transport.getSessionID()
	if _, err := transport.readPacket(); err != nil { // the request for ssh-userauth
		return nil, err
	}
	if err := transport.writePacket(Marshal(&serviceAcceptMsg{Service: serviceUserAuth})); err != nil {
		return nil, err
	}
	if _, err := server.serverAuthenticate(&full); err != nil {
		return nil, err
	}
	return &Packets{transport}, nil
}

// ClientPackets shakes hands with a server and logs in.
func ClientPackets(conn net.Conn, config *ClientConfig) (*Packets, error) {
	full := *config
	full.SetDefaults()
	client := &connection{sshConn: sshConn{conn: conn, user: full.User}}
	if err := client.clientHandshake(conn.RemoteAddr().String(), &full); err != nil {
		return nil, err
	}
	return &Packets{client.transport}, nil
}

// CopyTo passes packets on until one side ends.
func (from *Packets) CopyTo(to *Packets) error {
	for {
		packet, err := from.transport.readPacket()
		if err != nil {
			return err
		}
		if err := to.transport.writePacket(packet); err != nil {
			return err
		}
	}
}
