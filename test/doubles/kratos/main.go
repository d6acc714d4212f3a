package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	etcdreg "github.com/go-kratos/kratos/contrib/registry/etcd/v3"
	zkreg "github.com/go-kratos/kratos/contrib/registry/zookeeper/v3"
	"github.com/go-kratos/kratos/v3/registry"
	"github.com/go-zookeeper/zk"
	clientv3 "go.etcd.io/etcd/client/v3"
)

type both interface {
	registry.Registrar
	registry.Discovery
}

// Registers one instance with kratos, and prints every list that kratos sees: `etcd|zookeeper <address> <service>`.
func main() {
	kind, address, service := os.Args[1], os.Args[2], os.Args[3]
	var r both
	if kind == "etcd" {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{address}, DialTimeout: 5 * time.Second})
		if err != nil {
			panic(err)
		}
		r = etcdreg.New(client)
	} else {
		conn, _, err := zk.Connect([]string{address}, 4*time.Second, zk.WithLogInfo(false))
		if err != nil {
			panic(err)
		}
		r = zkreg.New(conn)
	}
	ctx := context.Background()
	own := &registry.ServiceInstance{ID: "from-go", Name: service, Version: "v2.0.0",
		Metadata: map[string]string{"weight": "20", "color": "blue"}, Endpoints: []string{"http://10.0.0.3:8000", "grpc://10.0.0.3:9000?isSecure=false"}}
	if err := r.Register(ctx, own); err != nil {
		panic(err)
	}
	watcher, err := r.Watch(ctx, service)
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			list, err := watcher.Next()
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				time.Sleep(time.Second)
				continue
			}
			text, _ := json.Marshal(list)
			fmt.Println(string(text))
		}
	}()
	// Ends when whoever started it has read enough.
	_, _ = os.Stdin.Read(make([]byte, 1))
	if err := r.Deregister(ctx, own); err != nil {
		panic(err)
	}
}
