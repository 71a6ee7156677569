// Command spiffe-client is go-spiffe at the socket of a sidecar: a client that nobody here wrote.
//
//	spiffe-client identity SOCKET          certificate, roots and tokens, verified
//	spiffe-client mtls SOCKET SOCKET       a server by the first talks to a client by the second
//	spiffe-client watch SOCKET             a line for each update, and for each error
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/status"
)

const audience = "https://ledger.example.org"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "identity":
		return identity(ctx, args[1])
	case len(args) == 3 && args[0] == "mtls":
		return mtls(ctx, args[1], args[2])
	case len(args) == 2 && args[0] == "watch":
		return watch(ctx, args[1])
	}
	return errors.New("usage: spiffe-client identity|mtls|watch SOCKET...")
}

func at(socket string) workloadapi.ClientOption {
	return workloadapi.WithAddr("unix://" + socket)
}

func identity(ctx context.Context, socket string) error {
	client, err := workloadapi.New(ctx, at(socket))
	if err != nil {
		return err
	}
	defer client.Close()
	x509Context, err := client.FetchX509Context(ctx)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	svid := x509Context.DefaultSVID()
	// The certificate by its roots, as any peer would verify it.
	id, _, err := x509svid.Verify(svid.Certificates, x509Context.Bundles)
	if err != nil {
		return fmt.Errorf("verify the certificate: %w", err)
	}
	fmt.Println("certificate", id)
	bundles, err := client.FetchX509Bundles(ctx)
	if err != nil {
		return fmt.Errorf("roots: %w", err)
	}
	bundle, err := bundles.GetX509BundleForTrustDomain(id.TrustDomain())
	if err != nil {
		return err
	}
	fmt.Println("roots", len(bundle.X509Authorities()))

	token, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	keys, err := client.FetchJWTBundles(ctx)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if err := verify(token.Marshal(), keys); err != nil {
		return err
	}
	validated, err := client.ValidateJWTSVID(ctx, token.Marshal(), audience)
	if err != nil {
		return fmt.Errorf("validate: %w", err)
	}
	fmt.Println("token", validated.ID)
	if _, err := client.ValidateJWTSVID(ctx, token.Marshal(), "somebody else"); err == nil {
		return errors.New("a token for somebody else was accepted")
	}
	return nil
}

func verify(token string, keys *jwtbundle.Set) error {
	if _, err := jwtsvid.ParseAndValidate(token, keys, []string{audience}); err != nil {
		return fmt.Errorf("verify the token: %w", err)
	}
	return nil
}

func mtls(ctx context.Context, serving, asking string) error {
	server, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(at(serving)))
	if err != nil {
		return err
	}
	defer server.Close()
	client, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(at(asking)))
	if err != nil {
		return err
	}
	defer client.Close()
	domain := tlsconfig.AuthorizeMemberOf(spiffeid.RequireTrustDomainFromString("example.org"))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn = tls.Server(conn, tlsconfig.MTLSServerConfig(server, server, domain))
			go func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, "hello")
			}()
		}
	}()
	config := tlsconfig.MTLSClientConfig(client, client, domain)
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	said, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	fmt.Println("mtls", string(said))
	return nil
}

type watcher struct{}

func (watcher) OnX509ContextUpdate(c *workloadapi.X509Context) {
	fmt.Println("update", c.DefaultSVID().Certificates[0].SerialNumber.Text(16))
}

func (watcher) OnX509ContextWatchError(err error) {
	fmt.Println("error", status.Code(err))
}

func watch(ctx context.Context, socket string) error {
	client, err := workloadapi.New(ctx, at(socket))
	if err != nil {
		return err
	}
	defer client.Close()
	return client.WatchX509Context(ctx, watcher{})
}
