check "Hello, world!" greet
